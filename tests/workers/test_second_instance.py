"""Two worker processes of one name: at worst work is repeated, never an effect."""

from __future__ import annotations

import signal

import pytest

from tests.support.servers import await_true
from tests.support.simulator import Simulator
from tests.support.worker_environment import KEYS, Scene
from tests.support.worker_process import StopsAt

NAMES = [f"SHP-T{n}" for n in range(8)]


def posted(scene: Scene) -> list[str]:
    ids = scene.post(*NAMES)
    scene.forward_all()
    return ids


def test_a_second_process_of_a_name_waits_robs_nobody_and_takes_over_when_the_first_dies(
    scene: Scene, simulator: Simulator
) -> None:
    ids = posted(scene)
    first = scene.start("routing", "twin", StopsAt("Ledger.close"))
    first.await_stopped()  # with all of them in its hands
    held = scene.redis.zcard(KEYS.locks("routing"))
    second = scene.start("routing", "twin")
    await_true(lambda: second.says("runs under this name"), 30, "the second to wait")
    assert scene.redis.zcard(KEYS.locks("routing")) == held > 0
    assert scene.redis.hget(KEYS.stats, "crashed") is None
    first.signal(signal.SIGCONT)
    await_true(lambda: all(scene.state(id) == "done" for id in ids), 60, "the first to finish")
    assert scene.redis.hget(KEYS.stats, "crashed") is None
    assert simulator.stats()["repeats"] == 0
    more = scene.post("SHP-last")
    scene.forward_all()
    await_true(lambda: scene.state(more[0]) == "done", 60, "the first to finish")
    first.kill()
    await_true(lambda: second.says("with 64 slots"), 30, "the second to take the name")
    last = scene.post("SHP-after")
    scene.forward_all()
    await_true(lambda: scene.state(last[0]) == "done", 60, "the second to work")
    for id in ids + more + last:
        scene.assert_one_effect(id)


def test_a_twin_takes_over_at_once_what_the_dead_one_held(scene: Scene) -> None:
    ids = posted(scene)
    first = scene.start("routing", "twin", StopsAt("Ledger.close"))
    first.await_stopped()
    held = scene.redis.zcard(KEYS.locks("routing"))
    second = scene.start("routing", "twin")
    await_true(lambda: second.says("runs under this name"), 30, "the second to wait")
    first.kill()
    await_true(lambda: all(scene.state(id) == "done" for id in ids), 60, "the second to finish")
    assert scene.redis.hget(KEYS.stats, "crashed") == str(held)  # and leases last an hour
    for id in ids:
        scene.assert_one_effect(id)


@pytest.mark.parametrize("place", ["RoutingClient.route", "Ledger.close", "Queue.done"])
def test_of_two_hosts_with_one_name_each_event_has_one_effect(
    scene: Scene, simulator: Simulator, place: str
) -> None:
    """HOST_NAME is the same by mistake, or RUN_DIR is another: no lock on the name keeps them
    apart. The later one takes the earlier one's locks; what that one does then changes nothing."""
    ids = posted(scene)
    first = scene.start("routing", "twin", StopsAt(place))
    first.await_stopped()
    scene.settings["RUN_DIR"] = str(scene.folder / "elsewhere")
    scene.start("routing", "twin")
    await_true(lambda: all(scene.state(id) == "done" for id in ids), 60, "the second to finish")
    first.signal(signal.SIGCONT)
    more = scene.post("SHP-more")
    scene.forward_all()
    await_true(lambda: scene.state(more[0]) == "done", 60, "either of them to go on")
    await_true(lambda: scene.redis.zcard(KEYS.locks("routing")) == 0, 30)
    for id in ids + more:
        scene.assert_one_effect(id)
    assert simulator.stats()["repeats"] <= len(ids)
