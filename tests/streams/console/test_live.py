"""Does an open page follow what happens, without taking from people what they are doing?"""

from playwright.sync_api import Page, expect

from streams.broker import Record
from tests.browsing import Browse
from tests.streams.published import alert, fleet, lifecycle, read_model, record, result, told


def opened(browse: Browse, url: str) -> Page:
    page = browse.page()
    page.goto(url)
    page.wait_for_selector("#live[data-state=live]")
    return page


def drifted(hour: int = 3) -> Record:
    return told("alerts", alert(hour=hour, title="amount drifted"))


def test_what_happens_appears_and_what_a_person_does_stays(browse: Browse) -> None:
    served = browse.serve(fleet(models=4, features=4, days=1))
    page = opened(browse, f"{served.url}/models/churn")
    page.locator("#picture-drift summary").click()
    before = page.locator("#picture-drift details tbody tr").first.inner_text()
    page.evaluate(
        "() => { document.querySelector('.picture').dataset.kept = 'yes'; scrollTo(0, 300); }"
    )
    page.locator("#picture-drift .plot").focus()
    served.fold(
        told("alerts", alert(model="churn", hour=9, kind="calibration", title="scores are off"))
    )
    expect(page.get_by_text("scores are off")).to_be_visible()
    assert page.locator("#picture-drift details").get_attribute("open") is not None
    assert page.locator("#picture-drift details tbody tr").first.inner_text() == before
    assert page.evaluate("() => document.activeElement.className.includes('plot')")
    assert page.locator(".picture[data-kept]").count() <= 1  # drawn once, not again


def test_a_search_stays_as_it_is_typed_while_the_page_changes(browse: Browse) -> None:
    served = browse.serve(fleet(models=4, features=3, days=1))
    page = opened(browse, served.url)
    field = page.locator("input[name=q]")
    field.press_sequentially("chu")
    expect(page.locator("#models tbody tr:visible")).to_have_count(1)
    expect(page.get_by_text("1 of 4 shown")).to_be_visible()  # the server's answer
    assert page.url.endswith("?q=chu")
    served.fold(drifted())
    expect(page.get_by_text("amount drifted")).to_be_visible()
    assert field.input_value() == "chu"
    assert page.evaluate("() => document.activeElement.name") == "q"
    field.press("Backspace")
    field.press("Backspace")
    expect(page.locator("#models tbody tr:visible")).not_to_have_count(1)


def test_another_order_is_asked_for_in_place_and_back_leads_back(browse: Browse) -> None:
    served = browse.serve(fleet(models=4, features=3, days=1))
    page = opened(browse, served.url)
    first = page.locator("#models tbody tr").first
    worst = first.inner_text()
    page.locator("#models th a", has_text="Model").click()
    expect(page.locator("#models th[aria-sort] a")).to_have_text("Model")
    assert page.locator("#models tbody tr").first.inner_text() != worst
    page.go_back()
    expect(page.locator("#models th[aria-sort] a")).to_have_text("State")
    expect(first).to_contain_text(worst.splitlines()[0])


def test_a_half_written_form_is_left_alone(browse: Browse) -> None:
    served = browse.serve(fleet(models=4, features=3, days=1))
    page = opened(browse, served.url)
    page.evaluate(
        """() => document.querySelector("#firing").insertAdjacentHTML("beforeend",
          "<form class='action' id='mine'><label>Why <textarea></textarea></label></form>")"""
    )
    page.locator("#mine textarea").fill("because of the mig")
    page.locator(".brand").focus()
    served.fold(drifted())
    expect(page.get_by_text("amount drifted")).to_be_visible()
    assert page.locator("#mine textarea").input_value() == "because of the mig"


def test_after_a_restart_of_the_server_the_page_finds_it_again(browse: Browse) -> None:
    read = read_model(record("models", "lifecycle|loans", lifecycle()))
    served = browse.serve(read)
    page = opened(browse, served.url)
    port = int(served.url.rpartition(":")[2])
    served.stop()
    page.wait_for_selector("#live[data-state=lost]")
    assert page.locator("#live").inner_text() == "reconnecting…"
    expect(page.locator("#models tbody tr")).to_have_count(1)  # what was known is still shown
    read.fold(told("results", result(1), offset=0))
    browse.serve(read, port=port)
    page.wait_for_selector("#live[data-state=live]", timeout=30_000)
    expect(page.locator("#models .strip")).to_be_visible()
    browse.complaints.clear()  # a browser complains of requests that fail


def test_a_page_about_one_model_does_not_stir_for_another(browse: Browse) -> None:
    served = browse.serve(fleet(models=4, features=3, days=1))
    page = opened(browse, f"{served.url}/models/churn")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    served.fold(told("results", result(9, model="loan-default")))
    served.fold(told("results", result(9, model="churn")))
    page.wait_for_event("request", timeout=30_000)
    assert asked == [f"{served.url}/models/churn"]


def test_a_page_that_is_still_being_read_appears_by_itself(browse: Browse) -> None:
    served = browse.serve(read_model(), ready=False)
    page = browse.page()
    page.goto(f"{served.url}/models/loans")
    expect(page.get_by_text("It appears here by itself")).to_be_visible()
    browse.complaints.clear()  # the browser complains of the 404, as it should
    served.fold(record("models", "lifecycle|loans", lifecycle()))
    expect(page.get_by_role("heading", name="Loans")).to_be_visible()
    browse.complaints.clear()
