"""What is computed from answers and samples, and what the picture shows of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from loadtest.harness import history
from loadtest.harness.history import Answer, most_at_once
from loadtest.harness.verdict import Verdict
from loadtest.load.evidence import histogram
from loadtest.load.picture import draw, rates, seconds
from loadtest.load.sampling import Sample
from loadtest.load.summary import Measured, document

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


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


def test_each_second_counts_accepted_duplicates_and_failures() -> None:
    run = [answer(10.1, 1), answer(10.2, 9, 200), answer(10.9, 5, 503), answer(12.0, 2)]
    first, second = seconds(run, 10.0)
    assert (first.second, first.accepted, first.duplicates, first.failed) == (0, 1, 1, 1)
    assert (first.p50_ms, first.p99_ms) == (5, 9)
    assert (second.second, second.accepted) == (2, 1)


def test_rates_are_growth_over_the_last_two_seconds() -> None:
    samples = [sample(at, done) for at, done in ((0, 0), (1, 10), (2, 10), (3, 30))]
    assert rates(samples, "done") == [(1, 10.0), (2, 5.0), (3, 10.0)]


def ledger_entry(attempts: int) -> dict[str, Any]:
    times = {"received_at": NOON, "done_at": NOON + timedelta(seconds=2)}
    return {"state": "done", "decision": {"route": True}, "attempts": attempts, **times}


MEASURED = Measured(
    burst=[answer(100.0), answer(100.0, 20)],
    sustained=[answer(110.0), answer(111.0, status=200)],
    failures={"burst": 0, "sustained": 0},
    samples=[sample(99.5), *(sample(100 + n, 5 * n, 40 - n) for n in range(30))],
    ledger={**{f"a{n}": ledger_entry(0) for n in range(80)}, "b": ledger_entry(1)},
    verdict=Verdict([]),
    simulator=dict.fromkeys(("calls", "succeeded", "failed", "repeats", "max_concurrent"), 1),
    burst_end=108.0,
    end=129.0,
    slots=128,
    problems=[],
    audit="audit: balanced",
    versions={"cores": "2"},
    commands=["locust"],
)


def test_the_picture_is_well_formed_shows_every_part_and_is_the_same_each_time(
    tmp_path: Path,
) -> None:
    draw(tmp_path / "one.svg", MEASURED)
    draw(tmp_path / "two.svg", MEASURED)
    text = (tmp_path / "one.svg").read_text()
    assert text == (tmp_path / "two.svg").read_text()
    root = ElementTree.fromstring(text)
    texts = [
        "".join(element.itertext()).strip()
        for element in root.iter()
        if element.tag.endswith("}text")
    ]
    for wanted in (
        "4 requests, 0 failures, 1 events completed after a retry",
        "Requests a second",
        "burst",
        "2 calls",
        "80 events",
        "Acknowledged within, ms (logarithmic)",
        "Events accepted and not finished",
        "Completed and retried, events a second",
    ):
        assert wanted in texts
    assert not [element for element in root.iter() if "nan" in str(element.attrib)]


def test_the_summary_counts_what_was_measured() -> None:
    found = document(MEASURED)
    assert found["passed"]
    assert found["events"]["with_one_effect"]
    assert found["events"]["s_until_done_with_route"] == {"events": 81, "p50": 2.0, "p99": 2.0}
    assert found["routing"]["events_routed"] == 81
    assert found["routing"]["events_that_failed_first_and_completed"] == 1
    assert found["routing"]["calls_an_event_needed"] == {"1": 80, "2": 1}


def test_the_histogram_has_a_row_for_each_number_of_calls() -> None:
    assert histogram({1: 100, 3: 1}) == [
        "routing calls   events",
        "            1      100  " + "█" * 50,
        "            3        1  █",
    ]
