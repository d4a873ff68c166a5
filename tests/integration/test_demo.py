import json
import re
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from streams.local_kafka import AnyBroker
from streams.supervisor import leeway
from tests.browsing import Browse
from tests.children import ended
from tests.until import until

WITHIN = timedelta(seconds=150)  # it promises 90 s on a machine that does nothing else


@pytest.mark.kafka
def test_the_demonstration_finds_what_it_planned_and_shows_it_in_three_clicks(
    kafka: AnyBroker, browse: Browse, tmp_path: Path
) -> None:
    command = leeway("demo", "--json", "--keep", "--brokers", kafka.bootstrap)
    with (
        (tmp_path / "said").open("w") as out,
        (tmp_path / "complained").open("w") as err,
        ended(subprocess.Popen(command, stdout=out, stderr=err)) as demo,
    ):
        address = until(lambda: _address(tmp_path / "complained", demo), WITHIN)
        assert address is not None
        three_clicks(browse, address)
    said, complained = ((tmp_path / name).read_text() for name in ("said", "complained"))
    assert demo.returncode == 0, complained or said
    told = json.loads(said)
    assert [phase["fits"] for phase in told["phases"]] == [True] * 6
    assert told["phases"][0]["found"] == "nothing was raised"
    assert re.fullmatch(r"the console is at \S+ until you press Ctrl-C\n", complained)


def _address(complained: Path, demo: "subprocess.Popen[bytes]") -> str | None:
    """Where the console is, once it is said."""
    kept = complained.read_text()
    found = re.search(r"(http://\S+) ", kept)
    if found is None and demo.poll() is not None:
        pytest.fail(kept)
    return found and found[1]


def three_clicks(browse: Browse, address: str) -> None:
    """From the front page to a feature that drifted, its two distributions side by side."""
    page = browse.page()
    page.goto(address)
    expect(page.locator("#firing .card").first).to_be_visible(timeout=60_000)  # as control reads on
    page.locator("#models tbody a").first.click()
    page.wait_for_selector("#picture-drift .plot .heatmaplayer image")
    told = page.locator("#picture-drift figcaption p")
    expect(told).to_contain_text("drifted, most of all", timeout=60_000)
    page.locator("#picture-drift summary").click()
    row = page.locator("#picture-drift details tbody tr").first  # what drifted most comes first
    row.get_by_role("link").nth(1).click()  # the window in which it was worst
    expect(page.locator("h1")).to_contain_text("feature:")
    page.wait_for_selector("#picture-distribution .plot .bars .point")
    expect(page.locator("h1 .pill")).to_have_text(re.compile("drifting|severe"))
    browse.shot(page, "demo-three-clicks")
    page.close()  # a page that its server left would complain
