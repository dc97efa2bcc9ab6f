"""The run folders: each opening of the test split is written down."""

import pandas as pd
import torch

from helpers import study
from helpers.config import Config


def test_every_opening_of_the_test_split_is_written_down_and_none_is_lost(dataset, tmp_path, monkeypatch):
    for folder in ("RUNS", "FIGURES", "CHECKPOINTS"):
        monkeypatch.setattr(study, folder, tmp_path / folder)
    checkpoint = tmp_path / "best.pt"
    checkpoint.write_bytes(b"weights")
    for count in (1, 2):
        run = study.Run("07_test", Config(data_root="drawn"), dataset)
        assert len(run.open_test(torch.device("cpu"), [checkpoint])) == 30 and len(run.test_openings) == count
    record = run.test_openings[0]
    assert (
        list(record["checkpoints"]) == [str(checkpoint)]
        and "@" in record["who"]
        and record["when"]
        and record["notebook"]
    )
    assert record["checkpoints"][str(checkpoint)] and record["data"] == dataset.fingerprint
    assert pd.to_datetime(record["when"]) <= pd.Timestamp.now(tz="UTC")
