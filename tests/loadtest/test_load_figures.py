"""What is measured out of answers and samples, and what is drawn of it."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from loadtest.harness import history
from loadtest.harness.history import Answer, most_at_once
from loadtest.load.evidence import histogram
from loadtest.load.picture import Scene, draw
from loadtest.load.sampling import Sample
from loadtest.load.svg import ticks
from loadtest.load.timeline import rates, seconds


def answer(at: float, ms: float = 10, status: int = 202) -> Answer:
    return Answer(f"bench:{at}-{status}", "SHP-1", status, at, ms)


def sample(at: float, done: int = 0, waiting: int = 0) -> Sample:
    return Sample(at, 0, waiting, 0, 5, 2, 0, 100, 10, done // 5, done)


def test_answers_are_read_as_they_were_noted(tmp_path: Path) -> None:
    noted = [Answer("standard:a,b", "SHP-1", 202, 1000.25, 1.5), answer(1.0, status=0)]
    with (tmp_path / "answers.csv").open("a") as file:
        for one in noted:
            history.note(one, file)
    assert history.read(tmp_path / "answers.csv") == noted


def test_requests_overlap_from_their_send_to_their_answer() -> None:
    assert most_at_once([answer(0.0, 100), answer(0.05, 100), answer(0.1, 100)]) == 2
    assert most_at_once([]) == 0


def test_each_second_tells_accepted_duplicates_and_failures_apart() -> None:
    run = [answer(10.1, 1), answer(10.2, 9, 200), answer(10.9, 5, 503), answer(12.0, 2)]
    first, second = seconds(run, 10.0)
    assert (first.second, first.accepted, first.duplicates, first.failed) == (0, 1, 1, 1)
    assert (first.p50, first.p99) == (5, 9)
    assert (second.second, second.accepted) == (2, 1)


def test_rates_are_growth_over_the_last_two_seconds() -> None:
    samples = [sample(at, done) for at, done in ((0, 0), (1, 10), (2, 10), (3, 30))]
    assert rates(samples, "done") == [(1, 10.0), (2, 5.0), (3, 10.0)]


@pytest.mark.parametrize(
    ("highest", "expected"),
    [
        (0, [0, 0.25, 0.5, 0.75, 1]),
        (7, [0, 2, 4, 6, 8]),
        (133, [0, 50, 100, 150]),
        (1000, [0, 250, 500, 750, 1000]),
    ],
)
def test_ticks_are_round_and_reach_the_highest_value(highest: float, expected: list[float]) -> None:
    assert ticks(highest) == expected


def test_the_picture_is_well_formed_and_shows_every_part() -> None:
    scene = Scene(
        title="3 requests <0 failures>",
        subtitle="& more",
        answers=[answer(100.0), answer(110.0), answer(111.0, status=200)],
        samples=[sample(99.5), *(sample(100 + n, 5 * n, 40 - n) for n in range(30))],
        phases={"burst": (100.0, 108.0), "sustained load": (110.0, 120.0)},
        attempts={1: 80, 2: 20},
    )
    root = ElementTree.fromstring(draw(scene))
    texts = [
        "".join(element.itertext()) for element in root.iter() if element.tag.endswith("}text")
    ]
    for wanted in (
        "3 requests <0 failures>",
        "Requests a second",
        "burst",
        "2 calls",
        "20 events",
        "Acknowledged within, ms (logarithmic)",
        "Events accepted and not finished",
        "Completed and retried, events a second",
    ):
        assert wanted in texts
    assert not [element for element in root.iter() if "nan" in str(element.attrib)]


def test_the_histogram_has_a_row_for_each_number_of_calls() -> None:
    assert histogram({1: 100, 3: 1}) == [
        "routing calls   events",
        "            1      100  " + "█" * 50,
        "            3        1  █",
    ]
