"""The report's figures: legible at their printed size, in one language, drawn from the saved results alone."""

import base64
import itertools
import json
import re
import warnings

import matplotlib
import numpy as np
import pytest
import yaml
from matplotlib import pyplot as plt
from matplotlib.text import Text

from helpers.plots.words import Words
from helpers.report import figures
from helpers.report.figures import FIGURES
from helpers.report.sections import TEMPLATES

from .drawable import GRID, source

matplotlib.use("agg")
LANGUAGES = ("fr", "en")
SMALLEST = 7  # points, as printed
WIDEST = 6.7  # inches: the 17 cm between the margins of the page


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def sources() -> dict[str, figures.Source]:
    return {language: source(language) for language in LANGUAGES}


def drawn(figure, monkeypatch) -> list:
    """Return every text that is drawn on a figure, with its bounding box in pixels."""
    seen, draw = [], Text.draw

    def listen(self, renderer):
        if self.get_visible() and self.get_text().strip():
            seen.append(self)
        draw(self, renderer)

    monkeypatch.setattr(Text, "draw", listen)
    figure.canvas.draw()
    monkeypatch.undo()
    return [(text, text.get_window_extent()) for text in dict.fromkeys(seen)]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_legible_as_printed(name, language, sources, monkeypatch):
    figure, alt = figures.draw(name, sources[language])
    texts = drawn(figure, monkeypatch)
    assert figure.get_figwidth() <= WIDEST and figure.get_figheight() < 8
    assert min((text.get_fontsize() for text, _ in texts), default=SMALLEST) >= SMALLEST
    page = figure.bbox.padded(1)
    for text, box in texts:
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1, text
    for (one, box), (other, box_too) in itertools.combinations(texts, 2):
        if one.get_rotation() == other.get_rotation() == 30:
            continue  # parallel lines of text, whose upright boxes overlap
        across = min(box.x1, box_too.x1) - max(box.x0, box_too.x0)
        along = min(box.y1, box_too.y1) - max(box.y0, box_too.y0)
        assert across < 1 or along < 1, f"{one.get_text()!r} lies on {other.get_text()!r}"
    numbers = [alt, *(text.get_text() for text, _ in texts)]
    assert not re.search(r"[{}]|nan|\d{5}[^\d]*\d{5}", alt) and re.search(r"\d", alt)
    wrong = r"\d,\d{1,2}\b|\d [%]" if language == "en" else r"\d\.\d|\d%"
    assert not [text for text in numbers if "10^" not in text and re.search(wrong, text)]


def test_the_alt_texts_of_both_languages_have_the_same_figures_and_numbers():
    alts = {
        language: yaml.safe_load((TEMPLATES / language / "words.yaml").read_text("utf-8"))["figures"]["alt"]
        for language in LANGUAGES
    }
    assert set(alts["fr"]) == set(alts["en"]) == set(FIGURES)
    for name in FIGURES:
        places = [sorted(re.findall(r"{(\w+)}", alts[language][name])) for language in LANGUAGES]
        assert places[0] == places[1] and places[0], name


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        {"seeds": 1, "epochs": 1, "levels": {factor: values[:1] for factor, values in GRID.items()}},
        {"seeds": 1, "images": 2, "07_test": {"gaps": []}},
        {"seeds": 3, "epochs": 2},
        {"seeds": 2, "diverged": True},
    ],
    ids=["one trial", "few images", "all", "a diverged seed"],
)
def test_a_run_of_any_size_has_all_its_figures_in_french(case):
    found, english = source("fr", **case), set()

    class Catalogue(dict):
        def get(self, key, default=None):
            if key not in self and not key[:1].isdigit():
                english.add(key)
            return super().get(key, default)

    words = Words("fr", Catalogue(found.words.texts))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in FIGURES:
            assert figures.picture(name, found._replace(words=words)), name
    assert english == set()


def test_a_training_that_diverges_in_its_first_epoch_has_its_figures_too():
    extra = source("en").results["06_final"]["extra"]
    lost = extra | {"best": {"val_loss": None}, "history": [extra["history"][0] | {"val_loss": None}]}
    drawn = figures.picture("extra", source("en", **{"06_final": {"extra": lost}}))
    assert "the additional iteration – at epoch –" in drawn.alt


def test_a_run_without_identities_has_its_figures_too():
    rows = source("en").results["07_test"]["intervals"]
    without = [{name: row[name] for name in ("of", "metric", "value", "low", "high")} for row in rows]
    found = source("en", **{"07_test": {"intervals": without, "gaps": []}})
    assert figures.picture("intervals", found) and "none" in figures.picture("groups", found).alt


def test_a_figure_shows_the_results_that_were_saved(sources):
    before = figures.picture("positive_rates", sources["fr"])
    rates = json.loads(json.dumps(sources["fr"].results["01_data"]["rates"]))
    rates["train"]["Wearing_Hat"] = 0.0123
    after = figures.picture("positive_rates", source("fr", **{"01_data": {"rates": rates}}))
    assert after.src != before.src and after.alt != before.alt and "1,2\u00a0%" in after.alt


def test_line_art_is_svg_and_pictures_of_images_are_png_at_200_dpi(sources):
    for name in ("heatmap", "parallel", "confusion", "groups", "gradcam"):
        drawing, picture = FIGURES[name], figures.picture(name, sources["en"])
        kind, _, encoded = picture.src.partition(";base64,")
        content = base64.b64decode(encoded)
        if drawing.images:
            assert kind == "data:image/png" and content.startswith(b"\x89PNG")
            assert int.from_bytes(content[16:20], "big") == pytest.approx(200 / 2.54 * picture.centimetres, abs=1.5)
        else:
            assert kind == "data:image/svg+xml" and b"<svg" in content and b"<image" not in content
            assert len(content) < 250_000
            points = float(re.search(rb'width="([\d.]+)pt"', content)[1])
            assert picture.centimetres == pytest.approx(points / 72 * 2.54, abs=0.01)


def test_a_figure_whose_notebook_has_not_run_is_none(sources):
    found = sources["fr"]
    results = {notebook: result for notebook, result in found.results.items() if notebook != "07_test"}
    assert figures.picture("confusion", found._replace(results=results)) is None
    assert figures.picture("memorised", found._replace(arrays=found.arrays | {"03_overfit": {}})) is None
    no_doubt = found.arrays["appendix"] | {"doubted_images": np.zeros((0, 3, 64, 64), np.uint8)}
    assert figures.picture("doubted_labels", found._replace(arrays=found.arrays | {"appendix": no_doubt})) is None
    older = {name: value for name, value in found.results["appendix"].items() if name != "calibration"}
    assert figures.picture("reliability", found._replace(results=found.results | {"appendix": older})) is None


def test_the_arrays_are_those_that_the_notebooks_saved(tmp_path, sources):
    (tmp_path / "results").mkdir()
    np.savez(tmp_path / "results" / "03_overfit.npz", labels=np.eye(5))
    words = yaml.safe_load((TEMPLATES / "fr" / "words.yaml").read_text("utf-8"))
    found = figures.source(tmp_path, {"03_overfit": {"images": 5}, "05_grid": None}, "fr", words)
    assert set(found.arrays) == {"03_overfit"} and np.array_equal(found.arrays["03_overfit"]["labels"], np.eye(5))
