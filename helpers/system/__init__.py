"""This room holds what the machine provides: the device, random seeds, files, processes and progress bars.

It may import only `errors` and `config`.
"""

__all__: list[str] = []  # the notebooks need none of it
