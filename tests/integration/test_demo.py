import json
import re
import signal
import subprocess
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from streams.local_kafka import AnyBroker
from streams.supervisor import leeway
from tests.browsing import Browse

WITHIN = timedelta(seconds=150)  # it promises 90 s on a machine that does nothing else


@pytest.mark.kafka
def test_the_demonstration_finds_what_it_planned_and_shows_it_in_three_clicks(
    kafka: AnyBroker, browse: Browse
) -> None:
    with subprocess.Popen(
        leeway("demo", "--json", "--keep", "--brokers", kafka.bootstrap),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        try:
            assert demo.stderr is not None
            kept = demo.stderr.readline()  # the end of the stream, if it failed before
            address = re.search(r"http://\S+", kept)
            assert address is not None, kept + demo.communicate(timeout=10)[1]
            three_clicks(browse, address[0])
        finally:
            demo.send_signal(signal.SIGINT)
            said, complained = demo.communicate(timeout=WITHIN.total_seconds())
    assert demo.returncode == 0, complained or said
    told = json.loads(said)
    assert [phase["fits"] for phase in told["phases"]] == [True] * 6
    assert told["phases"][0]["found"] == "nothing was raised"
    assert complained == ""


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
