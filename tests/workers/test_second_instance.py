"""Two worker processes with one name: work may be repeated, effects are not."""

from __future__ import annotations

import signal

import pytest

from tests.support.servers import await_true
from tests.support.simulator import Simulator
from tests.support.worker_environment import KEYS, WorkerEnvironment
from tests.support.worker_process import SuspendAt

NAMES = [f"SHP-T{n}" for n in range(8)]


def posted(environment: WorkerEnvironment) -> list[str]:
    ids = environment.post(*NAMES)
    environment.forward_all()
    return ids


def test_a_second_instance_waits_takes_no_locks_and_takes_over_when_the_first_is_killed(
    environment: WorkerEnvironment, simulator: Simulator
) -> None:
    ids = posted(environment)
    first = environment.start("routing", "routing_00", SuspendAt("Ledger.close"))
    first.await_suspended()  # it holds all events
    held = environment.redis.zcard(KEYS.locks("routing"))
    second = environment.start("routing", "routing_00")
    await_true(lambda: second.logged("runs under this name"), 30, "the second to wait")
    assert environment.redis.zcard(KEYS.locks("routing")) == held > 0
    assert environment.redis.hget(KEYS.stats, "crashed") is None
    first.signal(signal.SIGCONT)
    await_true(
        lambda: all(environment.state(id) == "done" for id in ids), 60, "the first to finish"
    )
    assert environment.redis.hget(KEYS.stats, "crashed") is None
    assert simulator.stats()["repeats"] == 0
    more = environment.post("SHP-last")
    environment.forward_all()
    await_true(lambda: environment.state(more[0]) == "done", 60, "the first to finish")
    first.kill()
    await_true(lambda: second.logged("with 64 slots"), 30, "the second to take the name")
    last = environment.post("SHP-after")
    environment.forward_all()
    await_true(lambda: environment.state(last[0]) == "done", 60, "the second to work")
    for id in ids + more + last:
        environment.assert_one_effect(id)


def test_a_second_instance_takes_over_at_once_what_the_killed_one_held(
    environment: WorkerEnvironment,
) -> None:
    ids = posted(environment)
    first = environment.start("routing", "routing_00", SuspendAt("Ledger.close"))
    first.await_suspended()
    held = environment.redis.zcard(KEYS.locks("routing"))
    second = environment.start("routing", "routing_00")
    await_true(lambda: second.logged("runs under this name"), 30, "the second to wait")
    first.kill()
    await_true(
        lambda: all(environment.state(id) == "done" for id in ids), 60, "the second to finish"
    )
    assert environment.redis.hget(KEYS.stats, "crashed") == str(
        held
    )  # not by expiry: a lease lasts an hour
    for id in ids:
        environment.assert_one_effect(id)


@pytest.mark.parametrize("place", ["RoutingClient.route", "Ledger.close", "Queue.done"])
def test_with_two_hosts_of_one_name_each_event_has_one_effect(
    environment: WorkerEnvironment, simulator: Simulator, place: str
) -> None:
    """By mistake HOST_NAME is the same or RUN_DIR differs, so the lock on the name separates
    nothing. The second instance takes the first one's locks; the first then changes nothing."""
    ids = posted(environment)
    first = environment.start("routing", "routing_00", SuspendAt(place))
    first.await_suspended()
    environment.settings["RUN_DIR"] = str(environment.folder / "elsewhere")
    environment.start("routing", "routing_00")
    await_true(
        lambda: all(environment.state(id) == "done" for id in ids), 60, "the second to finish"
    )
    first.signal(signal.SIGCONT)
    more = environment.post("SHP-more")
    environment.forward_all()
    await_true(lambda: environment.state(more[0]) == "done", 60, "either of them to continue")
    await_true(lambda: environment.redis.zcard(KEYS.locks("routing")) == 0, 30)
    for id in ids + more:
        environment.assert_one_effect(id)
    assert simulator.stats()["repeats"] <= len(ids)
