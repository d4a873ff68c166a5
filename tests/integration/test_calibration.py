"""What does `leeway calibrate` say of two real streams: of a quiet past, and of one with a known drift?"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from streams.cli import main

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("LEEWAY_TEST_DATA", ROOT.parent / "shared" / "data"))

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="needs the real streams: set LEEWAY_TEST_DATA to their folder"
)

STREAMS = {
    "elec2": ("elec2.parquet", "1997-05-05T00:00:00Z", {"feature:vicprice"}),
    "insects": (
        "insects_gradual.parquet",
        "2026-01-07T11:20:00Z",
        {"feature:f17", "feature:f08", "feature:f26"},
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_real_past_is_calibrated(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, opened, leaders = STREAMS[name]
    path = tmp_path / f"{name}.yaml"
    path.write_text((ROOT / "examples" / f"{name}.yaml").read_text())
    of = [str(path), "--data", str(DATA / file)]
    assert main(["baseline", *of, "--where", "split=reference"]) == 0

    def said(split: str) -> Any:
        capsys.readouterr()
        assert main(["calibrate", *of, "--where", f"split={split}", "--runs", "3", "--json"]) == 0
        return json.loads(capsys.readouterr().out)["calibration"]

    quiet = said("reference")
    assert quiet["false_alarms"]["raised"] == 0
    assert any("built from this time" in note for note in quiet["notes"])
    assert any(r["week"]["size"] for r in quiet["reaches"] if r["change"] != "missing")
    assert all(r["week"]["size"] < 0.1 for r in quiet["reaches"] if r["change"] == "missing")
    (episode,) = said("production")["false_alarms"]["episodes"]
    assert episode["opened"] == opened
    assert episode["series"][0] in leaders
