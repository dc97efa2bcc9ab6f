"""The scaling study: nested subsets, each training made once, and pages that say what its results say."""

import json
import sys

import numpy as np
import pytest
import torch

from helpers.config import ROOT
from helpers.system.records import plain

sys.path.insert(0, str(ROOT / "benchmarks"))
import arms
import forecast
import scaling

SIZES = np.array([2_000, 4_000, 8_000, 16_000, 32_000, 53_289.0])


def test_the_pages_say_what_the_results_say():
    for mark, content in forecast.parts(forecast.trainings()).items():
        text = forecast.PAGES[mark].read_text(encoding="utf-8")
        assert forecast.between_marks(text, mark, content) == text, "Run python benchmarks/forecast.py"


def test_the_curves_that_are_kept_are_those_of_the_trainings():
    kept = json.loads(forecast.RESULTS.read_text(encoding="utf-8"))["curves"]
    made = plain(forecast.curves(forecast.trainings()))
    assert [row.keys() for row in kept] == [row.keys() for row in made], "Run python benchmarks/forecast.py"
    assert all(row[name] == pytest.approx(of[name]) for row, of in zip(kept, made, strict=True) for name in row)


def test_a_curve_without_noise_is_found_again():
    found = forecast.fit(SIZES, forecast.curve(SIZES, 0.04, 0.06, 0.5))
    assert np.allclose(found.parameters, [0.04, 0.06, 0.5], rtol=0.05)
    assert found.at([forecast.ALL])[0] == pytest.approx(0.04 + 0.06 * 162.77**-0.5, rel=0.01)


def test_without_an_offset_the_floor_is_zero_and_a_straight_line_is_found():
    found = forecast.fit(SIZES, forecast.curve(SIZES, 0, 0.2, 0.3), offset=False)
    assert np.allclose(found.parameters, [0, 0.2, 0.3], rtol=0.02) and not found.resampled[:, 0].any()


def test_the_interval_of_a_forecast_holds_the_truth_in_most_cases(monkeypatch):
    monkeypatch.setattr(forecast, "RESAMPLES", 200)
    draw, held = np.random.default_rng(0), 0
    truth = forecast.curve(np.array(forecast.ALL), 0.04, 0.06, 0.5)
    for _ in range(60):
        measured = forecast.curve(SIZES, 0.04, 0.06, 0.5) * (1 + 0.01 * draw.normal(size=len(SIZES)))
        low, high = forecast.fit(SIZES, measured).interval([forecast.ALL])[:, 0]
        held += low <= truth <= high
    assert held >= 0.9 * 60


def test_with_three_sizes_nothing_is_forecast():
    scores = {"mean_accuracy": 0.9, "loss": 0.3}
    common = {"network": "course", "persons": 5, "seed": 1, "valid": scores, "train": scores}
    rows = [common | {"images": size} for size in (10, 20, 30)]
    assert forecast.fits(rows) == {} and "nothing is forecast yet" in forecast.parts(rows)["forecast"]
    errors = {10: 0.3, 20: 0.25, 30: 0.22, 40: 0.21}
    rows = [common | {"images": size, "valid": scores | {"mean_accuracy": 1 - errors[size]}} for size in errors]
    assert "**Forecast**" in forecast.parts(rows)["forecast"]


def test_a_larger_subset_holds_the_smaller_ones_and_another_seed_draws_others(splits):
    few, more = (scaling.subset(splits["train"], size, 1) for size in (10, 20))
    assert set(few.names) < set(more.names) and len(more) == 20
    assert set(scaling.subset(splits["train"], 10, 2).names) != set(few.names)


@pytest.mark.slow
def test_each_training_is_made_once_and_serves_both_with_and_without_ema(drawn, tmp_path, monkeypatch):
    small = arms.ARMS["course"].config.but(channels_block3=8, batch_size=8, max_epochs=2)
    pair = {"fine": small.but(ema=0.9, mirror=True), "fine_unaveraged": small.but(mirror=True)}
    course = {"course": small, "course_averaged": small.but(ema=0.9)}
    monkeypatch.setattr(scaling, "NETWORKS", {"course": course, "fine": pair})
    monkeypatch.setattr(scaling, "FOLDER", tmp_path / "scaling")
    monkeypatch.setattr(scaling, "FIRST", 2)
    trainings, fit = [], scaling.fit
    monkeypatch.setattr(
        scaling, "fit", lambda *given, **named: trainings.append(named["label"]) or fit(*given, **named)
    )
    options = ["--data-root", str(drawn), "--json", str(tmp_path / "scaling.json"), "--sizes", "16"]
    scaling.main(options)
    scaling.main([*options, "24"])
    assert [label.split(",")[0] for label in trainings] == [
        f"{name} on {size} images" for size in (16, 24) for name in ("course", "fine")
    ]
    rows = json.loads((tmp_path / "scaling.json").read_text())["trainings"]
    assert [(row["network"], row["images"]) for row in rows] == [
        (name, size) for name in ("course", "course_averaged", "fine", "fine_unaveraged") for size in (16, 24)
    ]
    assert all(row["epoch"] == 2 and 0 < row["valid"]["mean_accuracy"] < 1 for row in rows)
    for first, second in zip([*rows[0:2], *rows[4:6]], [*rows[2:4], *rows[6:8]], strict=True):
        for metric, found in second["difference"].items():
            assert found["value"] == pytest.approx(second["valid"][metric] - first["valid"][metric], abs=1e-6)
            assert found["low"] <= found["value"] <= found["high"]
    averaged, last = (torch.load(tmp_path / "scaling" / f"{name}-16-42.pt") for name in pair)
    assert not torch.equal(averaged["head.weight"], last["head.weight"])
    assert not list((tmp_path / "scaling").glob("*.state"))
