"""What the report's figures are drawn from: a run's results and arrays, and the words of the report's language."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from helpers.plots.words import Words
from helpers.report.wording import typeset
from helpers.system.records import read_arrays

Drawn = tuple[Figure, dict[str, str]]
"""A figure, and the values of its alt text by their names."""


class Source(NamedTuple):
    """What the figures are drawn from: results and arrays by notebook, the words and the alt texts of a language."""

    results: Mapping[str, Mapping]
    arrays: Mapping[str, Mapping[str, np.ndarray]]
    words: Words
    alts: Mapping[str, str]

    def table(self, notebook: str, *keys: str) -> pd.DataFrame:
        """Return a table of a notebook's results, which is a list of rows."""
        value = self.results[notebook]
        for key in keys:
            value = value[key]
        return pd.DataFrame(value)


def source(folder: Path, results: Mapping[str, Mapping | None], language: str, words: Mapping) -> Source:
    """Return what the figures of a run need: its results, the arrays in `folder`/results, and the language's words."""
    written = {notebook: result for notebook, result in results.items() if result}
    arrays = {notebook: _load(folder / "results" / f"{notebook}.npz") for notebook in written}
    figures = words["figures"]
    steps = {f"step {arm}": text for arm, text in words["steps"].items()}
    texts = {**steps, **words["baselines"], **figures["labels"]}
    spoken, alts = ({key: typeset(text, language) for key, text in part.items()} for part in (texts, figures["alt"]))
    return Source(written, arrays, Words(language, spoken), alts)


def _load(path: Path) -> dict[str, np.ndarray]:
    return read_arrays(path) if path.is_file() else {}
