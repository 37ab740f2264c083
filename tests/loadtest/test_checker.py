"""The checker finds what it is there for: each test falsifies one account of a good run."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loadtest.chaos.report import table
from loadtest.chaos.timeline import timeline
from loadtest.chaos.tracebacks import tracebacks
from loadtest.harness import fault_kinds as kinds
from loadtest.harness.accounts import Accounts, Call, Fault, Queue, Traceback
from loadtest.harness.checker import check
from loadtest.harness.history import Answer, Event
from loadtest.harness.verdict import DOUBLED, LOST, WRONG, Verdict
from tests.support.servers import ROOT

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
WORKER, OTHER = 71, 72  # pids of the routing workers


def event(id: str, shipment: str, status: str, second: int, readable: bool = True) -> Event:
    return Event(
        "bench",
        id,
        shipment,
        status,
        NOON + timedelta(seconds=second),
        f'{{"id": "{id}"}}'.encode(),
        readable,
    )


# a was routed, b needed no route, both of one shipment; c was refused first; d cannot be read.
A, B, C, D = (
    event("a", "SHP-1", "delayed", 1),
    event("b", "SHP-1", "in_transit", 2),
    event("c", "SHP-2", "exception", 3),
    event("d", "SHP-2", "delayed", 4, False),
)


def answer(event: Event, status: int, sent_at: float, **more: Any) -> Answer:
    word = {202: "accepted", 200: "duplicate", 503: "unavailable", 0: "TimeoutError"}[status]
    good = Answer(event.key, event.shipment, status, sent_at, 100.0, word, "bench-0")
    return replace(good, **more)


def ledger(event: Event, outcome: str) -> dict[str, Any]:
    routed = outcome == "routed"
    entry = {
        "_id": event.key,
        "state": "done",
        "outcome": outcome,
        "shipment_id": event.shipment,
        "status": event.status,
        "applied_at": NOON,
        "done_at": NOON,
        "decision": {"apply": True, "route": routed},
    }
    return entry | ({"route": {"idempotency_key": event.key}} if routed else {})


def shipment(id: str, last: Event, routed: Event, *recent: Event) -> dict[str, Any]:
    return {
        "_id": id,
        "events_applied": len(recent),
        "recent_events": [e.key for e in recent],
        "status": last.status,
        "last_event_at": last.occurred_at,
        "route": {"event_id": routed.key, "answer": {"idempotency_key": routed.key}},
    }


def digest(event: Event) -> str:
    return {
        "a": "f6b13054205fa032",
        "b": "cee3dda32d7055ce",
        "c": "d984cf6d287ade07",
        "d": "6a3d8fbfb9c97eea",
    }[event.id]


QUEUE = Queue(
    hashes={
        **{e.key: {"state": "done", "digest": digest(e)} for e in (A, B, C)},
        D.key: {"state": "dead", "digest": digest(D), "reason": "malformed"},
    },
    places={A.key: ["done"], B.key: ["done"], C.key: ["done"], D.key: ["dead"]},
    bodies={D.key: b'{"id": "d"}'},
    stats={"accepted": "4", "done": "3", "backlog": "0", "backlog_bytes": "0"},
)
CALLS = [
    Call(A.key, 1.2, 1.4, "routed", WORKER),
    Call(C.key, 3.2, 3.3, "failed", WORKER),
    Call(C.key, 3.5, 3.7, "routed", OTHER),
]
GOOD = Accounts(
    events={e.key: e for e in (A, B, C, D)},
    answers=[
        answer(A, 202, 1),
        answer(A, 200, 2, seen_in="done"),
        answer(B, 202, 1),
        answer(C, 503, 1),
        answer(C, 0, 2),
        answer(C, 200, 3),
        answer(D, 202, 4),
    ],
    queue=QUEUE,
    ledger={A.key: ledger(A, "routed"), B.key: ledger(B, "recorded"), C.key: ledger(C, "routed")},
    shipments={"SHP-1": shipment("SHP-1", B, A, A, B), "SHP-2": shipment("SHP-2", C, C, C)},
    calls=CALLS,
    routed={A.key: 1, C.key: 1},
    faults=[],
)


def verdict(**falsified: Any) -> Verdict:
    return check(replace(GOOD, **falsified))


def queue(**falsified: Any) -> Queue:
    return replace(QUEUE, **falsified)


def without(mapping: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in mapping.items() if name != key}


def changed(documents: Mapping[str, Any], key: str, **fields: Any) -> dict[str, Any]:
    """One of the documents with other fields; None takes a field out."""
    document = {**documents[key], **fields}
    return {**documents, key: {n: v for n, v in document.items() if v is not None}}


def test_a_run_in_which_each_event_was_kept_and_had_one_effect_is_clean() -> None:
    found = verdict()
    assert found.problems == []
    assert found.repeats == []
    assert found.dead == {"malformed": [D.key]}


Falsified = Callable[[], dict[str, Any]]
CASES: dict[str, tuple[Falsified, str, str, str]] = {
    "an event that Redis forgot": (
        lambda: {"queue": queue(hashes=without(QUEUE.hashes, A.key))},
        LOST,
        "Redis does not know it",
        A.key,
    ),
    "an event that is in no list or set": (
        lambda: {"queue": queue(places=without(QUEUE.places, A.key))},
        LOST,
        "has it in no place",
        A.key,
    ),
    "an event that is in two places": (
        lambda: {"queue": queue(places={**QUEUE.places, A.key: ["done", "retry"]})},
        DOUBLED,
        "in 2 places: done, retry",
        A.key,
    ),
    "an event that lies elsewhere than its state says": (
        lambda: {"queue": queue(places={**QUEUE.places, A.key: ["locks:routing"]})},
        WRONG,
        "Redis calls it done: it is in locks:routing",
        A.key,
    ),
    "an event that never came to an end": (
        lambda: {
            "queue": queue(
                hashes=changed(QUEUE.hashes, A.key, state="retry"),
                places={**QUEUE.places, A.key: ["retry"]},
            )
        },
        WRONG,
        "did not come to an end: retry",
        A.key,
    ),
    "a dead letter without its bytes": (
        lambda: {"queue": queue(bodies={})},
        LOST,
        "the signed bytes are gone",
        D.key,
    ),
    "a dead letter with other bytes": (
        lambda: {"queue": queue(bodies={D.key: b"{}"})},
        LOST,
        "the signed bytes are others",
        D.key,
    ),
    "bytes that outlive their event": (
        lambda: {"queue": queue(bodies={**QUEUE.bodies, A.key: b'{"id": "a"}'})},
        WRONG,
        "its body is still there",
        A.key,
    ),
    "a digest of something else": (
        lambda: {"queue": queue(hashes=changed(QUEUE.hashes, A.key, digest="0" * 16))},
        WRONG,
        "the digest is not that of its body",
        A.key,
    ),
    "an event that no client sent": (
        lambda: {
            "events": without(GOOD.events, B.key),
            "answers": [a for a in GOOD.answers if a.key != B.key],
        },
        WRONG,
        "in Redis, and no client sent it",
        B.key,
    ),
    "an event that was taken as new twice": (
        lambda: {"answers": [*GOOD.answers, answer(A, 202, 9)]},
        DOUBLED,
        "accepted as new 2 times",
        A.key,
    ),
    "an event that was called a duplicate at first sight": (
        lambda: {"answers": [a for a in GOOD.answers if a.key != C.key] + [answer(C, 200, 3)]},
        LOST,
        "called a duplicate although it was never stored",
        C.key,
    ),
    "a valid event that was refused for good": (
        lambda: {"answers": [*GOOD.answers, replace(answer(A, 503, 5), status=401)]},
        WRONG,
        "a valid event was answered 401",
        A.key,
    ),
    "an answer about another event": (
        lambda: {"answers": [*GOOD.answers, answer(A, 200, 5, word="about another event: x")]},
        WRONG,
        "answered 200 and said about another event: x",
        A.key,
    ),
    "an event that was never acknowledged": (
        lambda: {"answers": [a for a in GOOD.answers if a.key != B.key]},
        WRONG,
        "no client ever got a 2xx for it",
        B.key,
    ),
    "counters that do not count what is there": (
        lambda: {"queue": queue(stats={**QUEUE.stats, "accepted": "5"})},
        WRONG,
        "accepted is 5: it should be 4",
        "",
    ),
    "a done event that the ledger does not call done": (
        lambda: {"ledger": changed(GOOD.ledger, B.key, state="processing")},
        LOST,
        "the ledger says processing",
        B.key,
    ),
    "a done event that was never applied": (
        lambda: {"ledger": changed(GOOD.ledger, B.key, applied_at=None)},
        LOST,
        "never applied to its shipment",
        B.key,
    ),
    "a dead event that the ledger calls done": (
        lambda: {"ledger": {**GOOD.ledger, D.key: {**ledger(D, "recorded"), "applied_at": NOON}}},
        WRONG,
        "dead, and the ledger says done",
        D.key,
    ),
    "a readable event that is dead even after its replay": (
        lambda: {"events": {**GOOD.events, D.key: replace(D, readable=True)}},
        LOST,
        "dead still after its replay",
        D.key,
    ),
    "a ledger that speaks of another shipment": (
        lambda: {"ledger": changed(GOOD.ledger, B.key, status="delayed")},
        WRONG,
        "another shipment or status",
        B.key,
    ),
    "a ledger that knows more than Redis": (
        lambda: {"ledger": {**GOOD.ledger, "bench:x": ledger(A, "recorded")}},
        WRONG,
        "in the ledger, and not in Redis",
        "bench:x",
    ),
    "a shipment that counts an event twice": (
        lambda: {"shipments": changed(GOOD.shipments, "SHP-1", events_applied=3)},
        DOUBLED,
        "SHP-1 counts 3 events: 2 were applied",
        B.key,
    ),
    "a shipment that forgot an event": (
        lambda: {"shipments": changed(GOOD.shipments, "SHP-1", events_applied=1)},
        LOST,
        "SHP-1 counts 1 events: 2 were applied",
        B.key,
    ),
    "a shipment whose event was overwritten by another": (
        lambda: {
            "shipments": changed(GOOD.shipments, "SHP-1", events_applied=1, recent_events=[B.key])
        },
        LOST,
        "SHP-1 counts 1 events: 2 were applied",
        A.key,
    ),
    "a shipment that lists an event twice": (
        lambda: {
            "shipments": changed(GOOD.shipments, "SHP-1", recent_events=[A.key, A.key, B.key])
        },
        DOUBLED,
        "applied to SHP-1 twice",
        A.key,
    ),
    "a shipment that lacks the status of its latest event": (
        lambda: {"shipments": changed(GOOD.shipments, "SHP-1", status="delayed")},
        LOST,
        "its latest event says in_transit",
        B.key,
    ),
    "a shipment that is gone": (
        lambda: {"shipments": without(GOOD.shipments, "SHP-2")},
        LOST,
        "there is no shipment SHP-2",
        C.key,
    ),
    "a shipment without its route": (
        lambda: {"shipments": changed(GOOD.shipments, "SHP-1", route=None)},
        LOST,
        "has the route of None",
        A.key,
    ),
    "a shipment with an answer that was another's": (
        lambda: {
            "shipments": changed(
                GOOD.shipments,
                "SHP-1",
                route={"event_id": A.key, "answer": {"idempotency_key": C.key}},
            )
        },
        WRONG,
        "has another event's answer",
        A.key,
    ),
    "an event whose route was never asked for": (
        lambda: {"calls": CALLS[1:], "routed": without(GOOD.routed, A.key)},
        LOST,
        "a route was needed, and none was asked for",
        A.key,
    ),
    "a route in the ledger that was another's": (
        lambda: {"ledger": changed(GOOD.ledger, A.key, route={"idempotency_key": C.key})},
        WRONG,
        "the ledger has another event's route",
        A.key,
    ),
    "a call that was not needed": (
        lambda: {
            "calls": [*CALLS, Call(B.key, 5, 6, "routed", WORKER)],
            "routed": {**GOOD.routed, B.key: 1},
        },
        DOUBLED,
        "routed, although no route was needed",
        B.key,
    ),
    "calls that the Routing Service counts otherwise": (
        lambda: {"routed": {**GOOD.routed, A.key: 2}},
        WRONG,
        "the Routing Service counts 2",
        A.key,
    ),
    "calls that do not name their process": (
        lambda: {"calls": [*CALLS[1:], replace(CALLS[0], pid=0)]},
        WRONG,
        "1 of 3 calls did not name their process",
        "",
    ),
    "a fault that the product does not handle": (
        lambda: {
            "tracebacks": [
                Traceback(
                    "worker-routing_00.log",
                    f"ERROR event {A.key}: the steps failed",
                    "OperationFailure: no",
                )
            ]
        },
        WRONG,
        "a traceback in worker-routing_00.log: OperationFailure: no",
        A.key,
    ),
    "a call that was repeated with no fault to excuse it": (
        lambda: {
            "calls": [*CALLS, Call(A.key, 8.0, 8.2, "routed", OTHER)],
            "routed": {**GOOD.routed, A.key: 2},
        },
        DOUBLED,
        "asked the Routing Service again 6.60 s after its answer",
        A.key,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_it_finds(case: str) -> None:
    falsify, severity, text, key = CASES[case]
    found = verdict(**falsify())
    assert [
        p for p in found.problems if p.severity == severity and text in p.text and p.key == key
    ], found.problems


AGAIN = Call(A.key, 5.0, 5.2, "routed", OTHER)  # the first one was answered at 1.4


def repeated(*faults: Fault, again: Call = AGAIN) -> str:
    """The excuse for calling again."""
    found = verdict(calls=[*CALLS, again], routed={**GOOD.routed, A.key: 2}, faults=list(faults))
    (repeat,) = found.repeats
    assert bool(repeat.excuse) == (found.problems == [])
    return repeat.excuse


@pytest.mark.parametrize(
    ("fault", "excused"),
    [
        (Fault(kinds.KILL_ROUTING, 1.3, 1.3, pids=(WORKER,)), True),
        (Fault(kinds.KILL_ROUTING, 1.6, 1.6, pids=(WORKER,)), True),
        (Fault(kinds.KILL_ROUTING, 1.3, 1.3, pids=(OTHER,)), False),  # another process
        (Fault(kinds.KILL_ROUTING, 1.1, 1.1, pids=(WORKER,)), False),  # before the call
        (Fault(kinds.KILL_ROUTING, 4.9, 4.9, pids=(WORKER,)), False),  # long after the answer
        (Fault(kinds.KILL_LOOKUP, 1.3, 1.3, pids=(WORKER,)), False),
        (Fault(kinds.KILL_SUPERVISORD, 1.3, 9.0, pids=(WORKER, OTHER)), True),
        (Fault(kinds.FREEZE, 1.3, 6.0, pids=(WORKER,)), True),
        (
            Fault(kinds.FREEZE, 0.5, 5.0, pids=(OTHER,)),
            True,
        ),  # claimed, frozen, called when it went on
        (
            Fault(kinds.FREEZE, 5.1, 9.0, pids=(OTHER,)),
            False,
        ),  # frozen after it had called
        (Fault(kinds.RESET_REDIS, 1.3, 1.3), False),  # an outage of a store is no excuse
        (Fault(kinds.PARTITION_MONGO, 1.3, 4.0), False),
    ],
)
def test_a_repeated_call_is_excused_by_a_fault_that_hit_its_process_in_time_and_by_no_other(
    fault: Fault, excused: bool
) -> None:
    assert bool(repeated(fault)) is excused


def test_a_worker_has_longer_to_record_while_mongo_is_unavailable() -> None:
    outage = Fault(kinds.PARTITION_MONGO, 1.3, 4.0)
    assert repeated(outage, Fault(kinds.KILL_ROUTING, 4.5, 4.5, pids=(WORKER,)))
    assert not repeated(Fault(kinds.KILL_ROUTING, 4.5, 4.5, pids=(WORKER,)))


@pytest.mark.parametrize(("until", "excused"), [(3.0, False), (4.5, True)])
def test_a_machine_that_stalls_for_as_long_as_leases_last_excuses_a_repeat(
    until: float, excused: bool
) -> None:
    found = verdict(
        calls=[*CALLS, AGAIN],
        routed={**GOOD.routed, A.key: 2},
        stalls=[Fault("stall", 0.0, 1.5), Fault("stall", 2.0, until)],
    )
    assert bool(found.repeats[0].excuse) is excused


def test_two_calls_for_one_event_at_once_are_a_repeat_although_neither_was_answered_yet() -> None:
    first = Call(C.key, 3.0, 9.0, "abandoned", WORKER)
    found = verdict(calls=[CALLS[0], first, *CALLS[1:]])
    assert {(r.first, r.excuse) for r in found.repeats} == {(first, "")}
    assert "again during another such call" in found.of(DOUBLED)[0].text


def test_a_dead_letter_that_was_not_replayed_yet_is_kept_and_no_loss() -> None:
    sound = replace(GOOD, events={**GOOD.events, D.key: replace(D, readable=True)})
    assert check(sound, replayed=False).problems == []


def test_poisoned_events_are_kept_and_listed_in_the_table() -> None:
    poisoned = replace(
        GOOD,
        events={**GOOD.events, D.key: replace(D, readable=True)},
        queue=queue(hashes=changed(QUEUE.hashes, D.key, reason="poison")),
    )
    before = check(poisoned, replayed=False)
    assert before.problems == []
    lines = table(poisoned, before, before, 0.0)
    assert [line.split() for line in lines if "poison" in line] == [
        ["dead", "letters", "before", "their", "replay", "1", "(poison", "1)"],
        ["and", "after", "it", "1", "(poison", "1)"],
        ["poison", D.key],
    ]


def test_the_timeline_shows_everything_about_one_event_in_the_order_of_time(tmp_path: Path) -> None:
    (tmp_path / "worker.log").write_text(
        f"1970-01-01T00:00:03.600Z INFO worker-routing_00 workers: event {C.key}: the lock is "
        f"another's now\n1970-01-01T00:00:03.610Z INFO worker: event {C.key}2: not this one\n"
    )
    run = replace(
        GOOD,
        faults=[
            Fault(kinds.KILL_ROUTING, 3.4, 3.4, "worker-routing_00", (71,)),
            Fault(kinds.KILL_REDIS, 99, 99, "redis", (9,)),
        ],
    )
    lines = timeline(run, C.key, tmp_path)
    text = "\n".join(lines)
    wanted = [
        "bench-0 gets 503: unavailable",
        "bench-0 gets no answer: TimeoutError",
        "process 71 calls the Routing Service",
        "that call of process 71 ends: failed",
        "FAULT    kill routing worker: worker-routing_00",
        "the lock is another's now",
        "process 72 ends: routed",
        '"state": "done"',
        "place     done",
        '"outcome": "routed"',
        '"events_applied": 1',
        '{"id": "c"}',
    ]
    assert [part for part in wanted if part not in text] == []
    places = [text.index(part) for part in wanted]
    assert places == sorted(places)
    assert "not this one" not in text
    assert "kill redis-server" not in text


def test_tracebacks_are_found_in_the_logs_of_our_programs(
    tmp_path: Path,
) -> None:
    entry = "2026-11-25T04:25:03.288Z ERROR worker-routing_01 workers.attempt: event a: it failed"
    (tmp_path / "worker-routing_01.log.1").write_text(
        f"2026-11-25T04:25:03.100Z INFO worker: no trace\n{entry}\n"
        "    | Traceback (most recent call last):\n    |   File x, line 1\n    | KeyError: 1\n"
        "    | \n    | During handling of the above exception, another exception occurred:\n"
        "    | \n    | Traceback (most recent call last):\n    |   File y, line 2\n"
        "    | ValueError: 2\n2026-11-25T04:25:04.000Z INFO worker: no trace\n"
    )
    (tmp_path / "gateway.log").write_text(
        "2026-11-25T04:25:05.000Z DEBUG gateway: signal\nTraceback (most recent call last):\n"
        "  File z, line 3\nTypeError: 3\n"
    )
    (tmp_path / "mongod.log").write_text("Traceback (most recent call last):\nTypeError: 4\n")
    assert tracebacks(tmp_path) == [
        Traceback("gateway.log", "2026-11-25T04:25:05.000Z DEBUG gateway: signal", "TypeError: 3"),
        Traceback("worker-routing_01.log.1", entry, "ValueError: 2"),
    ]


# A load run knows neither bodies nor times of its events, nor the single calls; a soak no Redis
# either.
LOAD = replace(
    GOOD,
    events={e.key: Event("bench", e.id, e.shipment) for e in (A, B, C)},
    answers=[answer(A, 202, 1), answer(A, 200, 2), answer(B, 202, 1), answer(C, 202, 3)],
    queue=queue(
        hashes=without(QUEUE.hashes, D.key),
        places=without(QUEUE.places, D.key),
        bodies={},
        stats={**QUEUE.stats, "accepted": "3"},
    ),
    calls=None,
)
SOAK = replace(LOAD, queue=None)


@pytest.mark.parametrize("run", [LOAD, SOAK], ids=["load", "soak"])
def test_a_good_run_with_fewer_accounts_is_clean(run: Accounts) -> None:
    assert check(run, retriable=()).problems == []
    assert check(run).lines() == []


@pytest.mark.parametrize("run", [LOAD, SOAK], ids=["load", "soak"])
@pytest.mark.parametrize(
    ("falsify", "text", "key"),
    [
        (lambda: {"ledger": without(GOOD.ledger, B.key)}, "the ledger says None", B.key),
        (
            lambda: {"ledger": changed(GOOD.ledger, B.key, state="processing")},
            "the ledger says processing",
            B.key,
        ),
        (
            lambda: {"ledger": {**GOOD.ledger, "bench:z": ledger(B, "recorded")}},
            "in the ledger, and no client sent it",
            "bench:z",
        ),
        (
            lambda: {"shipments": changed(GOOD.shipments, "SHP-1", events_applied=3)},
            "SHP-1 counts 3 events: 2 were applied",
            B.key,
        ),
        (lambda: {"routed": {**GOOD.routed, A.key: 2}}, "2 calls were answered", A.key),
        (lambda: {"routed": {C.key: 1}}, "a route was needed, and none was asked for", A.key),
        (lambda: {"routed": {**GOOD.routed, B.key: 1}}, "no route was needed", B.key),
        (lambda: {"routed": {**GOOD.routed, "x": 1}}, "routed, and not in the ledger", "x"),
        (
            lambda: {"answers": [*LOAD.answers, answer(C, 202, 9)]},
            "accepted as new 2 times",
            C.key,
        ),
        (
            lambda: {"answers": [*LOAD.answers, answer(C, 503, 9)]},
            "a valid event was answered 503",
            C.key,
        ),
        (
            lambda: {"answers": [*LOAD.answers, answer(C, 0, 9)]},
            "a valid event was answered nothing",
            C.key,
        ),
        (
            lambda: {"answers": [*LOAD.answers[:-1], answer(C, 200, 3)]},
            "called a duplicate although it was never stored",
            C.key,
        ),
    ],
)
def test_with_fewer_accounts_it_finds(
    run: Accounts, falsify: Falsified, text: str, key: str
) -> None:
    found = check(replace(run, **falsify()), retriable=())
    assert [p for p in found.problems if text in p.text and p.key == key], found.problems


def test_only_the_first_problems_are_spelled_out_the_most_severe_first() -> None:
    extra = {f"bench:{n}": without(ledger(B, "recorded"), "applied_at") for n in range(30)}
    found = check(replace(SOAK, ledger={**GOOD.ledger, **extra}, routed={C.key: 1}))
    lines = found.lines()
    assert lines[0] == f"LOST: {A.key}: a route was needed, and none was asked for"
    assert lines[-1] == f"… and {len(found.problems) - 10} more problems"
    assert len(lines) == 11


def test_the_judging_modules_share_no_code_with_the_product() -> None:
    judges = {
        "loadtest.harness.accounts",
        "loadtest.harness.checker",
        "loadtest.harness.effects",
        "loadtest.harness.verdict",
        "loadtest.harness.repeats",
        "loadtest.harness.stores",
        "loadtest.chaos.payloads",
        "loadtest.chaos.plan",
        "loadtest.chaos.report",
        "loadtest.chaos.timeline",
        "loadtest.harness.history",
        "loadtest.harness.http_client",
        "loadtest.harness.fault_kinds",
        "loadtest.chaos.tracebacks",
    }
    product = {"conf", "scheduler", "workers", "gateway", "routingsim"}
    for judge in judges:
        tree = ast.parse((ROOT / f"{judge.replace('.', '/')}.py").read_text())
        for node in ast.walk(tree):
            modules = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            assert not [name for name in modules if name.partition(".")[0] in product], judge
            ours = {name for name in modules if name.startswith("loadtest.")}
            packages = {"loadtest.harness", "loadtest.chaos"}
            known = judges | packages
            assert not [n for n in ours if n not in known and n.rpartition(".")[0] not in judges], (
                judge,
                ours,
            )
