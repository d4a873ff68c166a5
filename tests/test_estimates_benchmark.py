"""Does `python -m benchmarks.estimates` hold its targets, and does it fail when one is missed?"""

import pytest

from benchmarks import estimates


def test_on_one_seed_estimates_are_near_the_truth_or_called_unreliable(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert estimates.main(["--seeds", "1"]) == 0
    table = capsys.readouterr().out
    assert "covariate shift" in table
    assert "concept shift" in table


def test_a_missed_target_is_an_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "WITHIN", 0.0001)
    assert estimates.main(["--seeds", "1"]) == 1
