"""The report's fonts, as CSS that contains them, so that every machine shows and prints the same letters.

Source Serif and Source Sans (Adobe, SIL Open Font License) come as Python packages; DejaVu comes with matplotlib and
stands in for the characters that they lack, such as the superscript minus.
"""

import base64
import io
from functools import cache
from importlib.resources import files
from pathlib import Path

LATIN = (*range(0x20, 0x7F), *range(0xA0, 0x100), *map(ord, "ŒœŸ"))
GREEK, PUNCTUATION = tuple(range(0x391, 0x3CA)), tuple(range(0x2000, 0x2050))
SYMBOLS = (*range(0x2070, 0x2090), *map(ord, "←↑→↓∂∆∈∏∑−√∞∫≈≠≤≥■□▲△▶▸▼▾◆●★⚠✓✔✗✘"))
FEATURES = ["kern", "liga", "mark", "tnum", "lnum"]
DEJAVU = (
    ("Report Mono", "normal", 400, "DejaVuSansMono.ttf", LATIN + PUNCTUATION),
    ("Report Symbols", "normal", 400, "DejaVuSans.ttf", GREEK + PUNCTUATION + SYMBOLS),
)
SOURCE = tuple(
    (f"Report {name.title()}", style, weight, f"font_source_{name}_pro/Source{name.title()}Pro-{cut}.ttf")
    for name in ("serif", "sans")
    for style, weight, cut in (("normal", 400, "Regular"), ("italic", 400, "It"), ("normal", 600, "Semibold"))
)


@cache
def font_css() -> str:
    """Return one `@font-face` rule for each cut, with the font itself as a data URI in WOFF2."""
    import matplotlib

    rules = []
    for family, style, weight, place in SOURCE:
        package, _, name = place.partition("/")
        rules.append(
            _rule(
                family, style, weight, _subset(files(package) / "files" / name, LATIN + GREEK + PUNCTUATION + SYMBOLS)
            )
        )
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for family, style, weight, name, characters in DEJAVU:
        rules.append(_rule(family, style, weight, _subset(folder / name, characters)))
    return "\n".join(rules)


def _rule(family: str, style: str, weight: int, font: bytes) -> str:
    source = f"data:font/woff2;base64,{base64.b64encode(font).decode()}"
    return (
        f'@font-face {{ font-family: "{family}"; font-style: {style}; font-weight: {weight}; '
        f'src: url({source}) format("woff2"); }}'
    )


def _subset(path, characters: tuple[int, ...]) -> bytes:
    """Return a font reduced to some characters, as WOFF2."""
    from fontTools.subset import Options, Subsetter, load_font, save_font

    options = Options(flavor="woff2", layout_features=FEATURES, hinting=False, drop_tables=["FFTM"])
    font = load_font(io.BytesIO(path.read_bytes()), options)
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=characters)
    subsetter.subset(font)
    buffer = io.BytesIO()
    save_font(font, buffer, options)
    return buffer.getvalue()
