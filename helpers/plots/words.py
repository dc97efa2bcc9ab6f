"""The language of the figures: their texts and numbers in English, or in the language of a report."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

MARKS = {"en": {",": ",", ".": "."}, "fr": {",": "\u202f", ".": ","}}  # between thousands, and before decimals
PERCENT = {"en": "%", "fr": "\u00a0%"}
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Words:
    """The texts and the number format of one language. `texts` has the translations of the English texts, if any."""

    language: str = "en"
    texts: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, english: str, **values) -> str:
        """Return the text in this language, with `values` in the places of its braces."""
        text = self.texts.get(english, english)
        return text.format(**values) if values else text

    def name(self, identifier: str) -> str:
        """Return the name of an attribute, metric, factor or baseline in words."""
        return self.texts.get(identifier, identifier.replace("_", " "))

    def local(self, number: str) -> str:
        """Return a number that Python has formatted with the marks and the minus sign of this language."""
        return number.translate(str.maketrans(MARKS[self.language] | {"-": "−"}))

    def number(self, value: float, digits: int = 2, signed: bool = False) -> str:
        """Return a number with `digits` decimals and separated thousands: 1,234.50 or 1 234,50."""
        return self.local(f"{value:{'+' if signed else ''},.{digits}f}")

    def percent(self, fraction: float, digits: int = 0) -> str:
        """Return a fraction as a percentage: 83.1% or 83,1 %."""
        return self.number(100 * fraction, digits) + PERCENT[self.language]

    def small(self, value: float) -> str:
        """Return a hyper-parameter such as 0.005 or 256, and values below 0.001 as 4.1 × 10⁻⁴."""
        if value == 0 or abs(value) >= 1e-3:
            return self.local(f"{value:.3g}" if abs(value) < 100 else f"{value:g}")
        mantissa, _, exponent = f"{value:.1e}".partition("e")
        ten = "10" + str(int(exponent)).translate(SUPERSCRIPTS)
        return ten if mantissa == "1.0" else f"{self.local(mantissa)} × {ten}"

    def localise(self, figure: Figure) -> Figure:
        """Write the numbers of all linear axes of a figure in this language, in full and without an offset."""
        for axes in figure.axes:
            for axis in (axes.xaxis, axes.yaxis):
                if type(axis.get_major_formatter()) is ScalarFormatter:
                    axis.set_major_formatter(Ticks(self))
        return figure


ENGLISH = Words()


class Ticks(ScalarFormatter):
    """The numbers of an axis in one language."""

    def __init__(self, words: Words):
        super().__init__(useOffset=False)
        self.set_scientific(False)
        self.words = words

    def __call__(self, x, pos=None) -> str:
        return self.words.local(super().__call__(x, pos))


def plain_decades(axis, words: Words):
    """Label a logarithmic axis at its decades with plain numbers: 0.01, 0.1, 1."""
    axis.set_major_locator(LogLocator(numticks=5))
    axis.set_major_formatter(lambda value, position: words.local(f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
