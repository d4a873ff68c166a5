"""Does a letter arrive as it was rendered, over an encrypted line, and can nothing in it forge another?"""

import socket
import ssl
import threading
from collections.abc import Callable
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.deliver.letter import Unsendable, address_of, compose
from alerting.deliver.sink import Failed, Parcel, Sent
from tests.alerting.rigs import LETTERS, MAIL, SECRETS, SHORT, parcel, run
from tests.vendors.certificates import Certified, certify
from tests.vendors.faults import CLOSE, smtp

SENDER = "Leeway <leeway@example.org>"


def letter(**changes: Any) -> Parcel:
    return parcel({**MAIL, **changes}, "email", operation="send")


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certified:
    return certify(tmp_path_factory.mktemp("certificates"))


def test_a_letter_has_both_texts_and_the_headers_it_was_given() -> None:
    text = ".hidden\n.\n..\nGrüße, ≥ 0.62\n" + "long " * 400
    html = "<p>.</p>\n<p>Grüße</p>"
    headers = {**MAIL["headers"], "X-Leeway-Episode": "ep-1", "References": "<al-0@leeway>"}  # type: ignore[dict-item]
    with LETTERS.tried() as (fake, trial):
        assert trial.send(letter(text=text, html=html, headers=headers)) == Sent()
        (mailed,) = fake.letters
    plain, page = mailed.message.get_body(("plain",)), mailed.message.get_body(("html",))
    assert plain.get_content().replace("\r\n", "\n") == text + "\n"
    assert page.get_content().replace("\r\n", "\n") == html + "\n"
    for name, value in headers.items():
        assert mailed.message[name] == value
    assert mailed.message["From"] == f"Leeway <{SECRETS['sender']}>"
    assert (mailed.sender, mailed.to) == (SECRETS["sender"], (SECRETS["to"],))
    assert mailed.user == SECRETS["username"]


def test_a_letter_sent_twice_is_the_same_letter() -> None:
    with LETTERS.tried() as (fake, trial):
        fake.next(CLOSE.taking())
        assert trial.failed()[0] == "network"
        assert trial.send() == Sent()
        assert [each.message["Message-ID"] for each in fake.letters] == ["<al-1@leeway>"] * 2


def test_the_longest_message_id_of_ours_stays_whole() -> None:
    name = f"<al-{'b' * 40}@leeway>"
    with LETTERS.tried() as (fake, trial):
        headers = {**MAIL["headers"], "Message-ID": name, "References": f"{name} {name}"}  # type: ignore[dict-item]
        assert trial.send(letter(headers=headers)) == Sent()
        assert fake.letters[0].message["Message-ID"] == name
        assert f"Message-ID: {name}\r\n".encode() in fake.letters[0].raw


# --- encryption ---------------------------------------------------------------------------------


def test_starttls_comes_before_the_login(certified: Certified) -> None:
    with LETTERS.tried(starttls=certified.server, trust=certified.believer) as (fake, trial):
        assert trial.send(tls="starttls") == Sent()
        (mailed,) = fake.letters
        assert (mailed.encrypted, mailed.user) == (True, SECRETS["username"])


def test_starttls_with_a_certificate_of_nobodys_ends_before_the_login(certified: Certified) -> None:
    with LETTERS.tried(starttls=certified.server) as (fake, trial):
        expected = ("network", True, "its certificate is not trusted")
        assert trial.failed(tls="starttls") == expected
        assert fake.letters == []


def test_a_server_without_starttls_gets_neither_password_nor_letter() -> None:
    """Somebody on the way may have taken the offer out."""
    with LETTERS.tried() as (fake, trial):
        assert trial.failed(tls="starttls") == ("server", True, "offers no STARTTLS")
        assert fake.letters == []


def test_tls_with_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    other = certify(tmp_path, "mail.example.org")
    with LETTERS.tried(starttls=other.server, trust=other.believer) as (_, trial):
        assert trial.failed(tls="starttls")[2] == "its certificate is not trusted"


def test_the_context_verifies_by_itself(certified: Certified) -> None:
    context = certified.believer()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_a_server_that_offers_no_login_is_an_auth_failure(certified: Certified) -> None:
    """It keeps the login for encrypted lines, and this one is not."""
    with LETTERS.tried(starttls=certified.server) as (_, trial):
        assert trial.failed() == ("auth", True, "the server offers no login we know")


def test_a_refused_login_is_an_auth_failure() -> None:
    with LETTERS.tried() as (fake, trial):
        fake.next(smtp("504 5.5.4 unrecognized", "AUTH"))
        trouble, retry, _ = trial.failed()
        assert (trouble, retry) == ("client", False)
        assert trial.failed(password="wrong") == ("auth", True, "answered 535 to AUTH")
        assert trial.failed(username=None) == ("auth", True, "answered 530 to MAIL")


def test_a_name_that_is_found_too_late_gets_no_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can wake a thread that waits for a resolver; once it knows, it is over."""
    given_up, connect, late = threading.Event(), socket.create_connection, []

    def slow(*where: Any, **more: Any) -> socket.socket:
        given_up.wait(10)
        late.append(connect(*where, **more))
        return late[0]

    with LETTERS.tried(limits=SHORT) as (fake, trial):
        monkeypatch.setattr(socket, "create_connection", slow)
        sink = trial.sink()

        async def once() -> Sent | Failed:
            found = await sink.send(LETTERS.parcel)
            given_up.set()
            return found

        assert run(once()) == Failed("timeout", retry=True, said="no answer in time")
        assert late[0].fileno() == -1  # closed
        assert fake.letters == []


def test_a_server_that_never_finishes_a_word_is_hung_up_on() -> None:
    """Each byte comes in time, the greeting never: the thread that reads it must end with the call."""
    over = threading.Event()

    def trickle(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            try:
                while not over.wait(0.05):
                    connection.sendall(b"2")
            except OSError:
                over.set()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=trickle, args=(server,))
        thread.start()
        with LETTERS.tried(limits=SHORT) as (_, trial):
            found = trial.failed(port=server.getsockname()[1])  # returns when its thread has ended
        assert found == ("timeout", True, "no answer in time")
        assert over.wait(30)
        thread.join(5)


# --- recipients ---------------------------------------------------------------------------------

TO = ["a@example.org", "b@example.org", "c@example.org"]


def test_a_refused_address_does_not_keep_the_others_from_hearing() -> None:
    with LETTERS.tried() as (fake, trial):
        fake.refuses = {"b@example.org": "550 5.1.1 b@example.org unknown"}
        assert trial.send(letter(to=TO)) == Sent(said="1 of 3 addresses refused: 550")
        assert fake.letters[0].to == ("a@example.org", "c@example.org")


def test_if_all_are_refused_one_that_may_pass_later_speaks_for_all() -> None:
    with LETTERS.tried() as (fake, trial):
        fake.refuses = dict.fromkeys(TO, "550 5.1.1 no")
        assert trial.failed(letter(to=TO)) == ("client", False, "answered 550 to RCPT")
        fake.refuses["c@example.org"] = "450 4.2.0 greylisted"
        assert trial.failed(letter(to=TO)) == ("server", True, "answered 450 to RCPT")
        assert fake.letters == []


def test_without_addresses_in_the_payload_the_receivers_own_are_used() -> None:
    with LETTERS.tried() as (fake, trial):
        assert trial.send(letter(to=[]), to=("Team <team@example.org>",)) == Sent()
        assert fake.letters[0].to == ("team@example.org",)


# --- forging ------------------------------------------------------------------------------------

FORGED: dict[str, dict[str, Any]] = {
    "a line break in a header": {"subject": "a\r\nBcc: eve@example.org"},
    "a line break in a header ": {"subject": "a\nb"},
    "a line break in a header  ": {"headers": {"X-A": "a\u2028b"}},
    "a header that is not rendering's to set": {"headers": {"Bcc": "eve@example.org"}},
    "a header that is not rendering's to set ": {"headers": {"subject": "another"}},
    "a header that is not rendering's to set   ": {"headers": {"X-A": "a", "x-a": "b"}},
    "a header that is not rendering's to set  ": {"headers": {"X-A: b\r\nBcc": "eve"}},
    "an address that cannot be read": {"to": ["eve@example.org>\r\nRCPT TO:<mallory@example.org"]},
    "an address that cannot be read ": {"to": ["eve"]},
    "an address that cannot be read  ": {"to": ["jürgen@example.org"]},
    "an address that cannot be read   ": {"to": "eve@example.org"},
    "101 recipients: expected 1 to 100": {"to": ["a@example.org"] * 101},
    "0 recipients: expected 1 to 100": {"to": []},
    "larger than 256 KiB": {"text": "x" * 300_000},
}


@pytest.mark.parametrize(("why", "changes"), FORGED.items(), ids=range(len(FORGED)))
def test_what_could_forge_or_never_pass_is_not_sent(why: str, changes: dict[str, Any]) -> None:
    with LETTERS.tried() as (fake, trial):
        found = trial.send(letter(**changes))
        assert isinstance(found, Failed)
        assert (found.trouble, found.retry) == ("client", False)
        if "Bcc" in why or "line break" not in found.said:
            assert found.said == why.rstrip()
        assert fake.requests == 0


@pytest.mark.parametrize("header", ["Subject", "X-Leeway-Episode"])
def test_an_encoded_line_break_stays_text(header: str) -> None:
    """CVE-2024-6923: the standard library of Python 3.11.7 makes a Bcc of it."""
    name = "=?utf-8?q?a=0D=0ABcc=3A_eve@example.org?="
    headers = {**MAIL["headers"], **({} if header == "Subject" else {header: name})}  # type: ignore[dict-item]
    with LETTERS.tried() as (fake, trial):
        assert trial.send(letter(subject=name, headers=headers)) == Sent()
        (mailed,) = fake.letters
        assert mailed.message["Bcc"] is None
        assert mailed.message[header] == name


_ANY = st.text(max_size=60)
_WORD = st.sampled_from(
    ["=?utf-8?q?a=0D=0ABcc=3A_eve?=", "=?utf-8?b?Cg==?=", "é ", "a", "=?", "?="]
)
_TEXT = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=200) | st.lists(
    _WORD, max_size=20
).map("".join)
_LINES = st.lists(_ANY | st.sampled_from(["\n.\n", "\r.\r", "\0", "\x85"]), max_size=5).map(
    "\r\n.\r\n".join
)
_NAMES = st.sampled_from(["X-A", "X-Leeway-Episode", "References", "In-Reply-To"])


@settings(max_examples=60)
@given(
    subject=_TEXT | _ANY,
    text=_LINES,
    html=_LINES,
    headers=st.dictionaries(_NAMES, _TEXT, max_size=3),
    more=st.just({})
    | st.dictionaries(_ANY | st.sampled_from(["Bcc", "DATE", "x-a"]), _ANY, max_size=1),
    to=st.lists(st.sampled_from(["a@example.org", "B <b@example.org>"]), min_size=1, max_size=3),
    sender=st.sampled_from([SENDER, "leeway@example.org"])
    | _TEXT.map("{} <leeway@example.org>".format),
)
def test_any_payload_makes_one_honest_letter_or_none(
    subject: str,
    text: str,
    html: str,
    headers: dict[str, str],
    more: dict[str, str],
    to: list[str],
    sender: str,
) -> None:
    given_headers = {**headers, **more}
    payload = {"to": to, "subject": subject, "text": text, "html": html, "headers": given_headers}
    try:
        made = compose(payload, sender, (), 0.0)
    except Unsendable:
        return
    assert made.content.isascii()
    bare = made.content.replace(b"\r\n", b"")
    assert not set(b"\r\n\0") & set(bare)
    assert all(len(line) <= 998 for line in made.content.split(b"\r\n"))
    read = message_from_bytes(made.content, policy=SMTP)
    ours = ["From", "To", "Subject", "Date", *given_headers]
    body = [name for name in read if name.startswith(("Content-", "MIME-"))]
    assert sorted(name for name in read if name not in body) == sorted(ours)
    assert "".join(str(read["Subject"]).split()) == "".join(subject.split())
    assert [each.addr_spec for each in read["To"].addresses] == list(made.to)
    assert [each.addr_spec for each in read["From"].addresses] == [made.sender]
    assert made.sender == "leeway@example.org"


@settings(max_examples=60)
@given(_ANY | st.from_regex(r"[^@]{1,10}@[^@]{1,10}\r\nRCPT"))
def test_any_text_is_an_address_that_fits_one_command_or_none(text: str) -> None:
    try:
        address = address_of(text)
    except Unsendable:
        return
    assert address.isascii()
    assert not set(address) & set("<>\r\n \t,")


@pytest.mark.parametrize("made", [lambda: letter(subject="é" * 200), lambda: letter(subject="")])
def test_odd_subjects_are_sent(made: Callable[[], Parcel]) -> None:
    subject = made().notification.payload["subject"]
    content = compose(made().notification.payload, SENDER, (), 0.0).content
    assert message_from_bytes(content, policy=SMTP)["Subject"] == subject
