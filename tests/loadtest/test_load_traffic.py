"""What the load consists of."""

from __future__ import annotations

from collections import Counter

import orjson
import pytest

from conf.settings import Settings
from conf.sources.loader import load_sources
from loadtest.harness.signed import signed
from loadtest.load.traffic import SEQUENCES, SHIPMENTS_PER_USER, SOURCES, USERS, body, event
from workers.routing_decision import NEEDS_ROUTING

SOURCE_TABLE = load_sources(Settings().sources_file, {}, "demo")
RUN = [event("run", user, number) for user in range(USERS) for number in range(80)]


def test_no_two_events_have_the_same_identity() -> None:
    assert len({one.key for one in RUN}) == len(RUN)


def test_users_share_no_shipment_and_together_use_the_seeded_ones() -> None:
    users: dict[str, set[str]] = {}
    for one in RUN:
        users.setdefault(one.shipment, set()).add(one.id.split("-")[1])
    assert all(len(owners) == 1 for owners in users.values())
    assert users.keys() == {f"SHP-{n}" for n in range(1, USERS * SHIPMENTS_PER_USER + 1)}


def test_six_in_ten_events_need_a_route() -> None:
    needs = sum(one.status in NEEDS_ROUTING for one in RUN)
    assert needs / len(RUN) == pytest.approx(0.6, abs=0.02)
    assert set(Counter(one.source for one in RUN)) == set(SOURCES)


@pytest.mark.parametrize("name", SOURCES)
def test_each_source_has_words_for_its_sequence_and_none_holds_a_terminal_status(name: str) -> None:
    assert not [status for status in SEQUENCES[name] if status.terminal]
    for number in range(len(SEQUENCES[name])):
        one = event("run", SOURCES.index(name), number)
        source, now = SOURCE_TABLE[name], 1_800_000_000.0
        request = signed(source, one.id, body(one, source, now), now)
        assert request.path == f"/v1/events/{name}"
        assert one.shipment.encode() in request.body
        assert orjson.loads(request.body)
