"""An outage of the Routing Service: the breaker opens, no event is lost, few calls are made."""

from __future__ import annotations

import time

from tests.support.running_gateway import WAIT_SECONDS, RunningGateway
from tests.support.servers import await_true

EVENTS = 60
OUTAGE_SECONDS = 4.0


def test_an_outage_defers_all_events_consumes_no_attempt_and_recovery_is_automatic(
    gateway: RunningGateway,
) -> None:
    shipments = [gateway.shipment() for _ in range(EVENTS)]
    gateway.behave(outage=True)
    ids = [gateway.post(shipment) for shipment in shipments]

    def attempts() -> int:
        return sum(int(gateway.event(id).get("attempts", 0)) for id in ids)

    await_true(lambda: gateway.redis.hget("{gw:0}:breaker", "state") is not None, WAIT_SECONDS)
    # Calls in flight when the breaker opened have ended once no event is locked.
    await_true(lambda: gateway.counters().locked_total == 0, WAIT_SECONDS)
    consumed, calls = attempts(), gateway.routing("calls")
    ends = time.monotonic() + OUTAGE_SECONDS
    await_true(lambda: time.monotonic() > ends, WAIT_SECONDS)

    assert attempts() == consumed
    assert gateway.routing("calls") - calls <= 10  # probes, with growing pauses
    assert gateway.counters().unfinished == EVENTS
    assert gateway.counted("buried") == 0
    assert gateway.counted("deferred") > 0
    assert [gateway.shipment_now(one)["status"] for one in shipments] == [
        "delivery_failed"
    ] * EVENTS  # statuses are applied before routing
    assert gateway.command("status").stdout.count("routing breaker: closed") == 0

    gateway.behave()
    gateway.await_done(ids)
    assert gateway.routing("succeeded") == EVENTS
    assert gateway.routing("repeats") == 0
    assert gateway.counted("buried") == 0
    assert gateway.redis.hget("{gw:0}:breaker", "state") is None


def test_a_hanging_call_delays_only_its_own_event(
    gateway: RunningGateway,
) -> None:
    gateway.behave(hang_ratio=1)
    hanging = gateway.post(gateway.shipment())
    await_true(lambda: gateway.routing("in_flight") == 1, WAIT_SECONDS)
    gateway.behave()
    others = [gateway.post(gateway.shipment()) for _ in range(5)]
    gateway.await_done(others)
    assert gateway.state(hanging) == "locked routing"
    gateway.await_done([hanging])  # after ROUTING_TIMEOUT_SECONDS
    assert gateway.entry(hanging)["attempts"] == 1
