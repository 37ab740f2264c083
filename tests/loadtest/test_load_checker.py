"""The checker must find what it is there for: lost, doubled and invented events."""

from __future__ import annotations

from dataclasses import replace

from loadtest.harness.history import Answer
from loadtest.load.checker import Accounts, Entry, check

DIRECT = Entry("done", routed=False, failed_calls=0, outcome="recorded", seconds=0.1)
ROUTED = Entry("done", routed=True, failed_calls=0, outcome="routed", seconds=2.1)


def answer(key: str, shipment: str = "SHP-1", status: int = 202) -> Answer:
    return Answer(key, shipment, status, 0.0, 1.0)


# a and b on one shipment, b routed, a also posted again; c failed once before it was routed.
GOOD = Accounts(
    answers=[answer("a"), answer("a", status=200), answer("b"), answer("c", "SHP-2")],
    ledger={"a": DIRECT, "b": ROUTED, "c": replace(ROUTED, failed_calls=1)},
    applied={"SHP-1": 2, "SHP-2": 1, "SHP-3": 0},
    calls={"b": 1, "c": 1},
)


def problems(accounts: Accounts) -> dict[str, list[str]]:
    return check(accounts).problems


def test_a_run_in_which_each_event_had_one_effect_is_clean() -> None:
    verdict = check(GOOD)
    assert verdict.clean
    assert (verdict.accepted, verdict.duplicates, verdict.routed, verdict.recovered) == (3, 1, 2, 1)
    assert verdict.attempts == {1: 1, 2: 1}


def test_a_lost_event_is_found_in_the_ledger_on_its_shipment_and_among_the_calls() -> None:
    lost = replace(
        GOOD, ledger={"a": DIRECT, "c": ROUTED}, applied={"SHP-1": 1, "SHP-2": 1}, calls={"c": 1}
    )
    assert problems(lost) == {
        "accepted and lost: not in the ledger": ["b"],
        "shipments that count other events than were accepted": ["SHP-1: 2 accepted, 1 applied"],
    }


def test_an_event_applied_twice_is_found() -> None:
    assert problems(replace(GOOD, applied={"SHP-1": 3, "SHP-2": 1})) == {
        "shipments that count other events than were accepted": ["SHP-1: 2 accepted, 3 applied"]
    }


def test_an_event_routed_twice_or_never_or_without_need_is_found() -> None:
    calls = problems(replace(GOOD, calls={"a": 1, "b": 2, "x": 1}))["routed other than once"]
    assert sorted(calls) == [
        "a: 1 routes were given, 0 wanted",
        "b: 2 routes were given, 1 wanted",
        "c: 0 routes were given, 1 wanted",
        "x: 1 routes were given, 0 wanted",
    ]


def test_an_event_that_was_accepted_twice_is_found() -> None:
    twice = replace(GOOD, answers=[*GOOD.answers, answer("c", "SHP-2")])
    assert problems(twice)["accepted more than once"] == ["c: 2 times"]


def test_neither_a_duplicate_nor_a_429_counts_as_accepted() -> None:
    verdict = check(Accounts([answer("a", status=200), answer("b", status=429)], {}, {}, {}))
    assert verdict.accepted == 0
    assert verdict.problems == {
        "answered neither 202 nor 200": ["b: 429"],
        "called a duplicate of an event that was never accepted": ["a"],
    }


def test_an_event_that_is_not_done_and_one_that_nobody_was_told_about_are_found() -> None:
    open_one = replace(ROUTED, state="processing", seconds=None)
    found = problems(replace(GOOD, ledger={**GOOD.ledger, "b": open_one, "z": DIRECT}))
    assert found == {
        "accepted and not done": ["b: processing"],
        "in the ledger, and nobody was told so": ["z"],
    }


def test_many_problems_of_a_kind_are_counted_and_not_all_spelled_out() -> None:
    verdict = check(replace(GOOD, ledger={f"z{n}": DIRECT for n in range(30)}))
    assert "in the ledger, and nobody was told so: 30" in verdict.lines()
    assert "  … and 20 more" in verdict.lines()
