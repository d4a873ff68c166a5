"""Does Slack get one message per episode, rewritten in place, with what changed below it?"""

import pytest

from alerting.deliver.sink import Parcel, Sent
from alerting.deliver.slack import AUTH, NOT_EDITABLE, RETRIED, SlackBot
from tests.alerting.rigs import BOT, INCOMING, SLACK, parcel
from tests.vendors.faults import Fault, rate_limited, status
from tests.vendors.servers import FakeSlack


def later(thread: str | None, text: str = "critical: worse") -> Parcel:
    return parcel(
        {**SLACK, "text": text},
        thread=thread,
        operation="update_and_reply",
        change="escalated",
        reply="escalated (critical, severe)",
    )


def said(word: str, code: int = 200) -> Fault:
    return status(code, f'{{"ok": false, "error": "{word}"}}')


def first(fake: FakeSlack) -> str:
    """Where the first message stands, as its post told."""
    message = next(iter(fake.messages.values()))
    return f"{message.channel}/{message.ts}"


def test_a_post_tells_where_it_can_be_found_again() -> None:
    with BOT.tried() as (fake, trial):
        found = trial.send()
        assert found == Sent(thread=first(fake))
        assert [each.method for each in fake.accepted] == ["chat.postMessage"]


def test_a_change_rewrites_the_first_message_and_is_said_below_it() -> None:
    with BOT.tried() as (fake, trial):
        trial.send()
        thread = first(fake)
        assert trial.send(later(thread)) == Sent(thread=thread)
        (message,) = fake.messages.values()
        assert [each["text"] for each in message.versions] == [SLACK["text"], "critical: worse"]
        assert [each["text"] for each in message.replies] == ["escalated (critical, severe)"]
        assert message.replies[0]["thread_ts"] == message.ts


def test_a_repeat_rewrites_without_a_reply() -> None:
    with BOT.tried() as (fake, trial):
        trial.send()
        again = parcel(SLACK, thread=first(fake), operation="update", change="repeated")
        assert isinstance(trial.send(again), Sent)
        (message,) = fake.messages.values()
        assert (len(message.versions), message.replies) == (2, [])


def test_the_channel_of_the_first_message_stays_when_the_receiver_moves() -> None:
    """`chat.update` takes no names: the id that the post told is used, whatever the payload says."""
    with BOT.tried() as (fake, trial):
        trial.send()
        moved = later(first(fake))
        moved.notification.payload["channel"] = "#elsewhere"
        assert isinstance(trial.send(moved), Sent)
        assert {each.message["channel"] for each in fake.accepted[1:]} == {"C00000000"}


@pytest.mark.parametrize("operation", ["update", "update_and_reply"])
def test_an_unknown_first_message_is_posted_anew(operation: str) -> None:
    with BOT.tried() as (fake, trial):
        found = trial.send(parcel(SLACK, thread=None, operation=operation))
        assert found == Sent(thread=first(fake))
        assert fake.requests == 1


def test_a_deleted_first_message_is_posted_anew_and_known_by_its_new_place() -> None:
    with BOT.tried() as (fake, trial):
        trial.send()
        gone = first(fake)
        fake.forget(gone.split("/")[1])
        found = trial.send(later(gone))
        assert found == Sent(thread=first(fake)) != Sent(thread=gone)
        (message,) = fake.messages.values()
        assert (message.versions[0]["text"], message.replies) == ("critical: worse", [])


@pytest.mark.parametrize("word", sorted(NOT_EDITABLE))
def test_a_message_that_may_not_be_edited_is_posted_anew(word: str) -> None:
    with BOT.tried() as (fake, trial):
        trial.send()
        fake.next(said(word))
        assert isinstance(trial.send(later(first(fake))), Sent)
        assert len(fake.messages) == 2


@pytest.mark.parametrize("fault", [status(500), rate_limited("2"), said("internal_error")])
def test_a_reply_that_fails_is_made_up_for_by_the_same_parcel(fault: Fault) -> None:
    with BOT.tried() as (fake, trial):
        trial.send()
        thread = first(fake)
        fake.next(None, fault)
        assert trial.failed(later(thread))[1]
        assert isinstance(trial.send(later(thread)), Sent)
        (message,) = fake.messages.values()
        assert len(message.replies) == 1


def test_a_failed_update_says_nothing_below() -> None:
    with BOT.tried() as (fake, trial):
        trial.send()
        fake.next(status(503))
        assert trial.failed(later(first(fake)))[0] == "server"
        (message,) = fake.messages.values()
        assert (len(message.versions), message.replies) == (1, [])


PERMANENT = ("channel_not_found", "is_archived", "invalid_blocks", "msg_too_long", "not_in_channel")


def test_every_word_of_the_api_means_what_the_table_says() -> None:
    with BOT.tried() as (fake, trial):
        for word in sorted(AUTH | RETRIED | set(PERMANENT)):
            fake.next(said(word))
            trouble, retry, told = trial.failed()
            if word in AUTH:
                assert (trouble, retry) == ("auth", True), word
            elif word in PERMANENT:
                assert (trouble, retry) == ("client", False), word
            else:
                assert trouble in ("server", "rate_limited"), word
                assert retry, word
            assert told == word


def test_every_word_of_a_webhook_means_what_the_table_says() -> None:
    table = {
        (404, "no_service"): ("auth", True),
        (403, "invalid_token"): ("auth", True),
        (403, "action_prohibited"): ("auth", True),
        (404, "channel_not_found"): ("client", False),
        (410, "channel_is_archived"): ("client", False),
        (400, "invalid_payload"): ("client", False),
        (500, "rollup_error"): ("server", True),
        (200, "no_text"): ("client", False),
        (200, "<html>ok</html>"): ("server", True),
        (200, ""): ("server", True),
    }
    with INCOMING.tried() as (fake, trial):
        for (code, word), expected in table.items():
            fake.next(status(code, word))
            assert trial.failed()[:2] == expected, word


def test_the_wait_of_a_limit_is_told_whatever_the_body_says() -> None:
    fault = Fault("429", 429, (("Retry-After", "30"),), b'{"ok": false, "error": "ratelimited"}')
    with BOT.tried() as (fake, trial):
        fake.next(fault)
        found = trial.send()
        assert getattr(found, "after_s", None) == 30.0
        assert getattr(found, "trouble", None) == "rate_limited"


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60000,
        b'{"ok": "true"}',
        b'{"ok": 1}',
        b"true",
        b'[{"ok": true}]',
        b"\xff\xfe",
        b'{"ok": false}',
        b'{"ok": false, "error": {"a": 1}}',
        b'{"ok": false, "error": "Not a word, but a sentence with plantedfeaturevalue"}',
    ],
)
def test_an_answer_that_is_not_slacks_is_not_success(body: bytes) -> None:
    with BOT.tried() as (fake, trial):
        fake.next(Fault("odd", body=body))
        assert trial.failed() == ("server", True, "answered 200, but not as Slack does")


@pytest.mark.parametrize("members", ['"ts": 5', '"ts": "x", "channel": "C1"', '"channel": "C1"'])
def test_a_post_whose_place_is_unknown_has_arrived_all_the_same(members: str) -> None:
    with BOT.tried() as (fake, trial):
        fake.next(status(200, f'{{"ok": true, {members}}}'))
        assert trial.send() == Sent()


def test_a_webhook_posts_whatever_the_operation_and_has_its_own_channel() -> None:
    with INCOMING.tried() as (fake, trial):
        assert trial.send() == Sent()
        assert trial.send(later("C00000000/1700000000.000000")) == Sent()
        assert [each.method for each in fake.accepted] == ["webhook", "webhook"]
        assert not any("channel" in each.message for each in fake.accepted)


def test_slack_gets_the_token_in_a_header_and_the_payload_as_it_is() -> None:
    with BOT.tried() as (fake, trial):
        trial.send()
        (accepted,) = fake.accepted
        assert accepted.message == SLACK
        assert accepted.headers["authorization"] == f"Bearer {fake.token}"
        assert accepted.headers["user-agent"] == "leeway"


def test_a_wrong_token_is_an_auth_failure() -> None:
    with BOT.tried() as (_, trial):
        assert trial.failed(token="xoxb-other") == ("auth", True, "invalid_auth")


def test_an_api_elsewhere_has_the_usual_path() -> None:
    with BOT.tried() as (fake, trial):
        for url in (f"http://127.0.0.1:{fake.port}", f"http://127.0.0.1:{fake.port}/api/"):
            assert isinstance(trial.send(url=url), Sent)
        assert isinstance(trial.sink(), SlackBot)


def test_the_fake_limits_a_channel_as_slack_does() -> None:
    with BOT.tried(burst=2) as (fake, trial):
        found = [trial.send() for _ in range(3)]
        assert [isinstance(each, Sent) for each in found] == [True, True, False]
        assert getattr(found[2], "after_s", None) == 1.0
        assert len(fake.messages) == 2
