"""Numbers of the figures and tables, in the order in which the report shows them."""


class Numbering:
    """The figures and tables of a report in order of appearance.

    A sentence may cite a figure that comes later, so the report is rendered twice: the first time places every figure
    and table, and the second time cites them.
    """

    def __init__(self):
        self.placed: dict[str, list[str]] = {"figure": [], "table": []}
        self.counting = True

    def place(self, kind: str, name: str) -> int:
        """Return the number of a figure or table where it is shown."""
        names = self.placed[kind]
        if name not in names:
            names.append(name)
        return names.index(name) + 1

    def cite(self, kind: str, name: str) -> int:
        """Return the number of a figure or table that is shown elsewhere; KeyError if it is not shown at all."""
        if self.counting:
            return 0
        if name not in self.placed[kind]:
            raise KeyError(f"{kind} {name}")
        return self.placed[kind].index(name) + 1
