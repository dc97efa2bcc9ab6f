"""The report as a command: what is told before the report notebook is executed."""

import pytest

from helpers.cli import reporting
from helpers.errors import StudyError


def test_a_report_of_a_run_that_is_not_there_is_told():
    with pytest.raises(StudyError, match="There is no run 'nowhere'"):
        reporting.make_report("nowhere")
