"""Are the numbers of a text right for every text, and is the share of unseen words honest?"""

import math
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.reference.text import (
    MOST_BYTES,
    MOST_KNOWN,
    Vocabulary,
    fits,
    hashed,
    learn,
    measured,
    tokens,
)
from detectors.series import PARTS

NOTHING = Vocabulary(())


def parts(text: str, vocabulary: Vocabulary = NOTHING) -> dict[str, float]:
    return dict(zip(PARTS["text"], measured(text, vocabulary), strict=True))


@given(st.text())
def test_every_number_is_what_a_slow_count_of_characters_finds(text: str) -> None:
    found = parts(text)
    assert found["length"] == len(text)
    assert found["words"] == len(tokens(text))
    if not text:
        assert all(math.isnan(found[name]) for name in PARTS["text"][2:])
        return
    marks = sum(re.fullmatch(r"[^\w\s]", c) is not None for c in text)
    assert found["punctuation"] == marks / len(text)
    assert found["digits"] == sum(re.fullmatch(r"\d", c) is not None for c in text) / len(text)
    foreign = sum(ord(c) > 127 and c.isalpha() for c in text)
    assert found["non_ascii"] == foreign / len(text)
    assert math.isnan(found["unseen"]) == (not tokens(text))


def test_emoji_are_symbols_and_no_words() -> None:
    assert parts("👍🏽 ok") == {
        "length": 5.0,
        "words": 1.0,
        "unseen": 1.0,
        "digits": 0.0,
        "punctuation": 0.4,
        "non_ascii": 0.0,
    }


def test_half_a_character_is_measured_like_any_other() -> None:
    assert parts("\ud800 a")["length"] == 3.0
    assert not math.isnan(parts("a\ud800")["unseen"])


@pytest.mark.parametrize(
    ("text", "fit"),
    [
        ("a" * MOST_BYTES, True),
        ("a" * (MOST_BYTES + 1), False),
        ("€" * 21_845, True),
        ("€" * 21_846, False),
        ("👍" * 16_384, True),
        ("👍" * 16_385, False),
        ("x" * 10**6, False),
    ],
)
def test_a_text_fits_if_its_utf_8_has_at_most_64_kib(text: str, fit: bool) -> None:
    assert fits(text) is fit


def test_a_hash_is_the_same_in_another_process() -> None:
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "from detectors.reference.text import hashed; print(hashed('naïve'))",
        ],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)},
    )
    assert int(said.stdout) == hashed("naïve")


def test_answers_do_not_depend_on_what_was_asked_before() -> None:
    asked, fresh = Vocabulary([hashed("a")]), Vocabulary([hashed("a")])
    for i in range(100_100):
        asked.unseen([f"w{i}"])
    assert asked.unseen(["a", "w1", "w100099", "b" * 100]) == 3
    assert fresh.unseen(["a", "w1", "w100099", "b" * 100]) == 3


def zipf(rows: int, seed: int) -> list[list[str]]:
    random = np.random.default_rng(seed)
    drawn = random.zipf(1.3, size=(rows, 8))
    return [[f"w{n}" for n in row] for row in drawn.tolist()]


@pytest.mark.parametrize("windows", [None, 40])
def test_the_reference_expects_as_many_unseen_words_as_new_rows_bring(windows: int | None) -> None:
    groups = np.arange(4000) if windows is None else np.arange(4000) * windows // 4000
    learnt = learn(zipf(4000, 1), groups)
    vocabulary = Vocabulary(learnt.known)
    new = [vocabulary.unseen(row) / len(row) for row in zipf(4000, 2)]
    assert 0.05 < learnt.unseen.mean() < 0.2
    error = float(np.hypot(np.std(new), learnt.unseen.std())) / np.sqrt(4000)
    assert abs(np.mean(new) - learnt.unseen.mean()) < 3 * error


def test_words_of_one_window_alone_are_news_to_it() -> None:
    rows = [["storm"], ["storm"], ["rain"], ["rain"]]
    assert learn(rows, np.array([0, 0, 1, 2])).unseen.tolist() == [1.0, 1.0, 0.0, 0.0]
    assert learn(rows, np.arange(4)).unseen.tolist() == [0.0, 0.0, 0.0, 0.0]


def test_the_words_that_most_rows_hold_are_kept() -> None:
    rows = [[f"w{i}"] for i in range(MOST_KNOWN + 500)] + [["often"]] * 3
    learnt = learn(rows, np.arange(len(rows)))
    assert len(learnt.known) == MOST_KNOWN
    assert learnt.distinct == MOST_KNOWN + 501
    assert hashed("often") in learnt.known
    assert learnt.unseen[-3:].tolist() == [0.0, 0.0, 0.0]
    assert (learnt.unseen[:-3] == 1.0).all()


def test_rows_without_a_word_have_no_share() -> None:
    learnt = learn([[], []], np.arange(2))
    assert learnt.known == ()
    assert np.isnan(learnt.unseen).all()
