"""Numbers, dates and typography in French and in English."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from html import escape
from pathlib import Path

import jinja2
import yaml
from babel.dates import format_date
from babel.numbers import format_decimal
from jinja2 import Undefined

from helpers.scorecard import Formatter

CATALOGUES = Path(__file__).parent / "templates" / "report"
NARROW, NBSP, MINUS = "\u202f", "\u00a0", "−"
MISSING = "—"  # shown for a value that was not measured or does not exist
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
ABSOLUTE = re.compile(r"""(?<![\w.:/…])(?:~|[A-Za-z]:(?=[\\/]))?[\\/][^\s"',;]*?([^\s"',;\\/]+)/?(?=[\s"',;]|$)""")
KEPT = re.compile(
    r"(```.*?```|`[^`\n]*`|<code>.*?</code>|<[^<>]+>)", re.DOTALL
)  # code and tags, which are left unchanged


def filters(language: str) -> dict[str, Callable]:
    """Return the templates' filters for one language; each shows None as a dash."""
    spoken = {
        "n": fixed,
        "count": partial(fixed, digits=0),
        "signed": partial(fixed, signed=True),
        "points": points,
        "plural": plural,
        "ordinal": ordinal,
        "percent": percent,
        "small": small,
        "power": power,
        "duration": duration,
        "date": date,
        "day": day,
        "told": told,
    }
    return {name: partial(_or_missing, function, language) for name, function in spoken.items()} | {
        "code": code,
        "discreet": discreet,
    }


def _or_missing(function: Callable, language: str, value, *options, **named) -> str:
    if isinstance(value, Undefined):
        str(value)  # raises UndefinedError, which names the missing result
    return MISSING if value is None else function(value, *options, language=language, **named)


def fixed(value: float, digits: int = 4, *, signed: bool = False, language: str) -> str:
    """Return a number with `digits` decimals and thousands separators: 19 052,5 or 19,052.5."""
    text = format_decimal(round(abs(value), digits), f"#,##0.{'0' * digits}", locale=language)
    if not re.search("[1-9]", text):  # rounded to zero, which has no sign
        return text
    return (MINUS if value < 0 else "+" if signed else "") + text


def percent(value: float, digits: int = 1, *, language: str) -> str:
    """Return a fraction as a percentage: 92,1 % or 92.1%."""
    return fixed(100 * value, digits, language=language) + (f"{NBSP}%" if language == "fr" else "%")


def points(value: float, digits: int = 2, *, language: str) -> str:
    """Return a difference of fractions in percentage points, with its sign: −0,94 point or −0.94 points."""
    value = round(100 * value, digits)
    return f"{fixed(value, digits, signed=True, language=language)}{NBSP}{_agreed(value, 'point', 'points', language)}"


def ordinal(number: int, *, language: str) -> str:
    """Return the rank of an epoch, as HTML: 1<sup>re</sup>, 2<sup>e</sup> in French; English says "number 2"."""
    return f"{number}<sup>{'re' if number == 1 else 'e'}</sup>" if language == "fr" else str(number)


def plural(value: float, one: str, many: str, digits: int = 0, *, language: str) -> str:
    """Return a number followed by its noun in the singular (`one`) or the plural (`many`)."""
    return f"{fixed(value, digits, language=language)}{NBSP}{_agreed(round(value, digits), one, many, language)}"


def _agreed(value: float, one: str, many: str, language: str) -> str:
    """Return the singular or the plural: French has the singular below two, English only for one."""
    return one if (abs(value) < 2 if language == "fr" else value == 1) else many


def small(value: float, *, language: str) -> str:
    """Return a hyper-parameter such as 0,005 or 256, and values below 0.001 as 4,1 × 10⁻⁴."""
    if value == 0 or abs(value) >= 1e-3:
        return _comma(f"{value:.3g}" if abs(value) < 100 else f"{value:g}", language)
    return power(value, language=language)


def power(value: float, *, language: str) -> str:
    """Return a number as 1,4 × 10⁻³, as 10⁻³ if it is a power of ten, and zero as 0."""
    if value == 0:
        return "0"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    ten = "10" + str(int(exponent)).translate(SUPERSCRIPTS)
    return ten if mantissa == "1.0" else f"{_comma(mantissa, language)}{NBSP}×{NBSP}{ten}"


def duration(seconds: float, *, language: str) -> str:
    """Return a duration as 12,3 s, 4 min 05 s or 1 h 02 min."""
    if seconds < 60:
        return f"{fixed(seconds, 1, language=language)}{NBSP}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{NBSP}min{NBSP}{rest:02d}{NBSP}s"
    return f"{minutes // 60}{NBSP}h{NBSP}{minutes % 60:02d}{NBSP}min"


def date(stamp: str, *, language: str) -> str:
    """Return an ISO time stamp as a date with the time in UTC, in the language's usual form."""
    moment = datetime.fromisoformat(stamp).astimezone(UTC)
    if language == "fr":
        return f"{day(stamp, language=language)} à {moment:%H}{NBSP}h{NBSP}{moment:%M} UTC"
    return f"{day(stamp, language=language)}, {moment:%H:%M} UTC"


def day(stamp: str, *, language: str) -> str:
    """Return the date of an ISO time stamp in UTC: 1er août 2026 or 1 August 2026."""
    moment = datetime.fromisoformat(stamp).astimezone(UTC)
    text = format_date(moment, "d MMMM y", locale=language).replace(" ", NBSP, 1)
    return re.sub(r"^1(?!\d)", "1er", text) if language == "fr" else text  # Babel's data (CLDR) has no ordinal


class _Spoken(Formatter):
    """Fill the fields of a check's text in a language: its numbers as there, words translated, names as code."""

    def __init__(self, words: dict, language: str):
        self.words, self.language = words, language

    def format_field(self, value, format_spec):
        if isinstance(value, list):
            return self.words["separator"].join(self.format_field(item, format_spec) for item in value)
        if isinstance(value, str):
            return self.words["values"].get(value) or code(value)
        return "NaN" if value is None else self._number(value, format_spec)

    def _number(self, value: float, spec: str) -> str:
        if spec.endswith("f"):
            return fixed(value, int(spec.rpartition(".")[2][:-1]), language=self.language)
        if spec.endswith("e"):
            return power(value, language=self.language)
        return (small if spec == "g" else partial(fixed, digits=0))(value, language=self.language)


def told(check: dict, part: str, words: dict, *, language: str) -> str:
    """Return a check's "name", "expected" or "measured" in the language, as HTML.

    The catalogue `words["checks"]` gives the text for each English template. Where a noun agrees with a number, it is
    a list of the singular and the plural, and the number is the template's first field.
    """
    template = check[part]
    own = words["checks"].get(template, template)
    if isinstance(own, list):
        first = next(field for _, field, _, _ in Formatter().parse(template) if field)
        own = _agreed(check["values"][first], *own, language)
    return _Spoken(words, language).vformat(escape(own, quote=False), (), check["values"])


def discreet(text) -> str:
    """Return a text without the folders of absolute paths, which name the user or the machine: …/celeba."""
    return ABSOLUTE.sub(r"…/\1", str(text))


def templates(folder: Path, language: str) -> jinja2.Environment:
    """Return the templates in a folder with the filters of a language; an unknown name in one is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters(language)
    return environment


def catalogue(language: str) -> dict:
    """Return the words and sentences of the report in one language, from its words.yaml."""
    return yaml.safe_load((CATALOGUES / language / "words.yaml").read_text(encoding="utf-8"))


def code(value) -> str:
    """Return a name, a path or a value as HTML code, escaped."""
    return f"<code>{escape(str(value), quote=False)}</code>" if value not in (None, "") else MISSING


def typeset(markdown: str, language: str) -> str:
    """Set apostrophes, English quotation marks and French non-breaking spaces, but not in code and tags."""
    parts = KEPT.split(markdown)
    parts[::2] = [_typeset(part, language) for part in parts[::2]]
    for n in range(2, len(parts), 2):
        if parts[n - 1].endswith(("`", "</code>")):  # a name stays with its value
            parts[n] = re.sub(r"^ (?=[\d=−])", NBSP, parts[n])
    return "".join(parts)


def _typeset(text: str, language: str) -> str:
    text = re.sub(r"(?<=\w)'(?=[\w*«])", "’", text)
    text = re.sub(r"(?<=F1|R²) (?=\d)| (?==)|(?<= =) (?=[\d−])", NBSP, text)
    if language == "en":
        text = re.sub(r'"([^"]*)"', r"“\1”", text)
    else:
        text = re.sub(r" (?=[:»%])", NBSP, text)
        text = re.sub(r" (?=[;?!])", NARROW, text)
        text = re.sub(r"« ", f"«{NBSP}", text)
    return text


def _comma(text: str, language: str) -> str:
    return text.replace(".", ",") if language == "fr" else text
