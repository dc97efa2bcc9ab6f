"""Formulas and widgets as static HTML, which needs no script."""

from html import escape

import nbformat
from nbconvert.filters.ansi import ansi2html

VIEW, STATE = (f"application/vnd.jupyter.widget-{part}+json" for part in ("view", "state"))


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


def freeze_widgets(nb: nbformat.NotebookNode, no_state: str) -> None:
    """Replace every widget view by static HTML of its last state; hidden widgets are removed."""
    models = nb.metadata.pop("widgets", {}).get(STATE, {}).get("state", {})
    for cell in nb.cells:
        for output in list(cell.get("outputs", [])):
            view = output.get("data", {}).get(VIEW)
            if view is None:
                continue
            html = _widget(view["model_id"], models) if models else f"<em>({no_state})</em>"
            output.data = {"text/html": html}
            if not html:
                cell.outputs.remove(output)


def _widget(reference: str, models: dict) -> str:
    model = models.get(reference.removeprefix("IPY_MODEL_"))
    if model is None or _is_hidden(model["state"], models):
        return ""
    name, state = model["model_name"].removesuffix("Model"), model["state"]
    if "children" in state:
        direction = "row" if name == "HBox" else "column"
        return f'<div class="widget-{direction}">{_all(_widget, state["children"], models)}</div>'
    if name == "Output":
        return _all(_widget_output, state.get("outputs", []), models)
    if name == "Image" and model.get("buffers"):
        return _image(state.get("format", "png"), model["buffers"][0]["data"])
    drawn = _bar(state) if name.endswith("Progress") else _value(name, state)
    return f'<div class="widget">{drawn}</div>' if drawn else ""


def _all(draw, items, models: dict) -> str:
    return "".join(draw(item, models) for item in items)


def _is_hidden(state: dict, models: dict) -> bool:
    layout = models.get(state.get("layout", "").removeprefix("IPY_MODEL_"), {}).get("state", {})
    return layout.get("visibility") == "hidden" or layout.get("display") == "none"


def _bar(state: dict) -> str:
    low, high = state.get("min", 0), state.get("max", 100)
    share = (state.get("value", 0) - low) / ((high - low) or 1)
    bar = f'<span class="bar {state.get("bar_style", "")}"><span style="width:{share:.0%}"></span></span>'
    return f"{escape(state.get('description') or '')} {bar}"


def _value(name: str, state: dict) -> str:
    """Return "description = value", or "" for a widget without a value, such as a button."""
    value = state.get("value")
    if "_options_labels" in state:
        chosen = state["index"] if isinstance(state["index"], list | tuple) else [state["index"]]
        value = ", ".join(state["_options_labels"][i] for i in chosen if i is not None)
    if value is None:
        return ""
    shown = value if name.startswith("HTML") else escape(_text(value))
    return f"{escape(state['description'])} = {shown}" if state.get("description") else shown


def _text(value) -> str:
    if isinstance(value, list | tuple):  # the two ends of a range slider
        return " – ".join(map(_text, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _widget_output(output: dict, models: dict) -> str:
    data = {mime: "".join(content) for mime, content in output.get("data", {}).items() if mime != VIEW}
    if VIEW in output.get("data", {}):
        return _widget(output["data"][VIEW]["model_id"], models)
    if "text/html" in data:
        return f'<div class="output_html">{data["text/html"]}</div>'
    if "image/png" in data:
        return _image("png", data["image/png"])
    text = output.get("text") or data.get("text/plain") or "\n".join(output.get("traceback", []))
    return f'<div class="output_stream"><pre>{ansi2html("".join(text))}</pre></div>'


def _image(kind: str, encoded: str) -> str:
    return f'<div class="output_png"><img src="data:image/{kind};base64,{encoded}"></div>'
