"""Formulas as static HTML, which needs no script."""

from html import escape


def typeset(formula: str) -> str:
    """Return a TeX formula as an inline SVG, or as <code> if matplotlib's mathtext cannot draw it."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import MathTextParser
    from matplotlib.textpath import TextPath

    formula = " ".join(formula.replace(r"\displaystyle", "").split())
    tex = f"${formula}$"
    font = FontProperties(size=100, math_fontfamily="stix")  # 100 units to the em
    try:
        width, height, depth, *_ = MathTextParser("path").parse(tex, dpi=72, prop=font)
        segments = TextPath((0, 0), tex, prop=font).iter_segments(simplify=False)
    except ValueError:
        return f'<code class="math">{escape(formula)}</code>'
    letters: dict = {1: "M", 2: "L", 3: "Q", 4: "C"}
    path = "".join(
        letters[code] + " ".join(f"{number:.4g}" for number in points) if code in letters else "Z"
        for points, code in segments
    )
    return (
        f'<svg class="math" role="img" aria-label="{escape(formula)}" '
        f'viewBox="0 {depth - height:.4g} {width:.4g} {height:.4g}" '
        f'style="width:{width / 100:.2f}em;height:{height / 100:.2f}em;vertical-align:{-depth / 100:.2f}em">'
        f'<path transform="scale(1 -1)" d="{path}"/></svg>'
    )
