"""Was every acknowledged event kept, and had it one effect?

Five accounts that no part of the product sees side by side: the history of what clients were
answered, Redis, the ledger, the shipments, and the calls that the Routing Service counted. Pure. It
shares no code with the product: what it expects is spelled out here a second time. What a run has
no account of (see ``Accounts`` and ``Event``) is not checked.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence

from loadtest.harness import effects
from loadtest.harness.accounts import Accounts, Queue, Traceback
from loadtest.harness.history import ACCEPTED, DUPLICATE, NO_ANSWER, Answer
from loadtest.harness.repeats import Repeat, repeats
from loadtest.harness.verdict import DOUBLED, LOST, WRONG, Problem, Verdict

_OPEN = ("ready", "locked", "retry")
_EVENT = re.compile(r"\bevent (\S+): ")  # as the product's logs name one
# Answers after which a client sends its event again.
RETRIABLE = (NO_ANSWER, 429, 503)


def check(
    accounts: Accounts, *, replayed: bool = True, retriable: Collection[int] = RETRIABLE
) -> Verdict:
    """replayed: the dead letters were replayed with every store and service in order, so that only
    unreadable events may still be dead. retriable: the answers other than 2xx that a valid event
    may get."""
    calls, queue = accounts.calls, accounts.queue
    repeated = repeats(calls or (), accounts.faults, accounts.stalls)
    problems = [
        *_answers(accounts, retriable),
        *_acknowledged(accounts),
        *(_places(accounts, queue) if queue else ()),
        *(_counters(accounts, queue) if queue else ()),
        *effects.ledger(accounts, replayed),
        *effects.shipments(accounts),
        *effects.routes(accounts),
        *(
            effects.calls(accounts, calls)
            if calls is not None
            else effects.repeated(accounts.routed)
        ),
        *_unexcused(repeated),
        *_tracebacks(accounts.tracebacks),
    ]
    dead: dict[str, list[str]] = defaultdict(list)
    for id, fields in (queue.hashes if queue else {}).items():
        if fields.get("state") == "dead":
            dead[fields.get("reason", "")].append(id)
    return Verdict(problems, repeated, dict(dead))


def _answers(accounts: Accounts, retriable: Collection[int]) -> Iterator[Problem]:
    by_key: dict[str, list[Answer]] = defaultdict(list)
    for answer in accounts.answers:
        by_key[answer.key].append(answer)
        wanted = {ACCEPTED: "accepted", DUPLICATE: "duplicate"}.get(answer.status)
        if wanted is not None and answer.word != wanted:
            yield Problem(WRONG, f"answered {answer.status} and said {answer.word}", answer.key)
        if wanted is None and answer.status not in retriable:
            status = answer.status or "nothing"
            yield Problem(WRONG, f"a valid event was answered {status} ({answer.word})", answer.key)
    for key, answers in by_key.items():
        accepted = sum(answer.status == ACCEPTED for answer in answers)
        if accepted > 1:
            yield Problem(DOUBLED, f"accepted as new {accepted} times", key)
        for answer in answers:
            if answer.status == DUPLICATE and not any(
                other.sent_at < answer.answered_at and other.status != DUPLICATE
                for other in answers
            ):
                yield Problem(LOST, "called a duplicate although it was never stored", key)


def _acknowledged(accounts: Accounts) -> Iterator[Problem]:
    acknowledged = accounts.acknowledged
    for key in accounts.events.keys() - acknowledged:
        yield Problem(WRONG, "no client ever got a 2xx for it", key)
    if accounts.queue is None:
        return
    for key in sorted(acknowledged):
        fields = accounts.queue.hashes.get(key)
        if fields is None:
            yield Problem(LOST, "acknowledged, and Redis does not know it", key)
        elif not accounts.queue.places.get(key):
            yield Problem(LOST, f"Redis calls it {fields.get('state')} and has it in no place", key)


def _places(accounts: Accounts, queue: Queue) -> Iterator[Problem]:
    for key in queue.hashes.keys() | queue.places.keys() | queue.bodies.keys():
        event = accounts.events.get(key)
        if event is None:
            yield Problem(WRONG, "in Redis, and no client sent it", key)
            continue
        places, fields = queue.places.get(key, ()), queue.hashes.get(key, {})
        state = fields.get("state", "")
        if len(places) > 1:
            yield Problem(DOUBLED, f"in {len(places)} places: {', '.join(places)}", key)
        if any(_state_of(place) != state for place in places):
            yield Problem(WRONG, f"Redis calls it {state or 'nothing'}: it is in {places[0]}", key)
        if state in _OPEN:
            yield Problem(WRONG, f"did not come to an end: {state}", key)
        body = queue.bodies.get(key)
        if state == "done" and body is not None:
            yield Problem(WRONG, "done, and its body is still there", key)
        if state and event.body is not None:
            if state != "done" and body != event.body:
                yield Problem(
                    LOST, "the signed bytes are " + ("gone" if body is None else "others"), key
                )
            if fields.get("digest") != _digest(event.body):
                yield Problem(WRONG, "the digest is not that of its body", key)


def _state_of(place: str) -> str:
    return {"locks": "locked"}.get(name := place.partition(":")[0], name)


def _digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=8).hexdigest()


def _counters(accounts: Accounts, queue: Queue) -> Iterator[Problem]:
    stats = {
        name: int(float(value))
        for name, value in queue.stats.items()
        if name.replace("_", "").isalpha()
    }
    states = Counter(fields.get("state", "") for fields in queue.hashes.values())
    waiting = [key for key, fields in queue.hashes.items() if fields.get("state") in _OPEN]
    answered = sum(answer.status == ACCEPTED for answer in accounts.answers)
    counted = {
        "accepted": len(queue.hashes),
        "done": states["done"],
        "backlog": len(waiting),
        "backlog_bytes": sum(len(queue.bodies.get(key, b"")) for key in waiting),
    }
    for name, number in counted.items():
        if stats.get(name, 0) != number:
            yield Problem(WRONG, f"{name} is {stats.get(name, 0)}: it should be {number}")
    if answered > stats.get("accepted", 0):
        yield Problem(LOST, f"{answered} answers were 202, accepted is {stats.get('accepted', 0)}")


def _unexcused(repeated: Sequence[Repeat]) -> Iterator[Problem]:
    for repeat in repeated:
        if not repeat.excuse:
            later = repeat.again.arrived - repeat.first.ended
            when = f"{later:.2f} s after its answer" if later >= 0 else "during another such call"
            yield Problem(
                DOUBLED,
                f"asked the Routing Service again {when}, and no fault excuses it",
                repeat.key,
            )


def _tracebacks(tracebacks: Sequence[Traceback]) -> Iterator[Problem]:
    for traceback in tracebacks:
        named = _EVENT.search(traceback.entry)
        yield Problem(
            WRONG,
            f"a traceback in {traceback.log}: {traceback.error}, beneath: {traceback.entry}",
            named[1] if named else "",
        )
