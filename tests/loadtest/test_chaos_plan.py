"""What `make chaos` does when is a function of its seed, and holds every kind of fault."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from loadtest.chaos import plan


def test_the_same_seed_gives_the_same_faults_and_the_same_routing_service() -> None:
    assert plan.faults(7, 180) == plan.faults(7, 180)
    assert plan.routing(7, 180) == plan.routing(7, 180)
    assert plan.faults(7, 180) != plan.faults(8, 180)


@pytest.mark.parametrize("seed", range(20))
def test_a_run_of_180_s_has_150_faults_or_more_and_each_kind_as_often_as_its_weight(
    seed: int,
) -> None:
    faults = plan.faults(seed, 180)
    assert len(faults) >= 150
    rounds = len(faults) // sum(plan.WEIGHTS.values())
    counts = Counter(fault.kind for fault in faults)
    assert all(counts[kind] >= weight * rounds for kind, weight in plan.WEIGHTS.items())
    gaps = [b.at - a.at for a, b in pairwise(faults)]
    assert all(plan.GAP_SECONDS[0] <= gap <= plan.GAP_SECONDS[1] for gap in gaps)


def test_the_first_forty_faults_hold_every_kind() -> None:
    assert {fault.kind for fault in plan.faults(3, 60)[:40]} == plan.WEIGHTS.keys()


def test_the_routing_service_shows_every_misbehaviour_and_is_healthy_at_the_end() -> None:
    schedule = plan.routing(3, 180)
    assert schedule[-1] == (180, plan.HEALTHY)
    seen = [
        {
            name: value
            for name, value in behaviour.items()
            if name not in ("latency_ms", "jitter_ms", "seed")
        }
        for _, behaviour in schedule
    ]
    assert all(dict(one) in seen for one in plan.MISBEHAVIOURS)
