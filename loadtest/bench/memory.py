"""Memory: what an event takes in Redis, and the peak of each kind of process under load."""

from __future__ import annotations

import re

from loadtest.bench import signed
from loadtest.bench.figures import Figure, Section
from loadtest.bench.paced import Loop
from loadtest.bench.pipeline import pipelined
from loadtest.bench.processes import peak_mib
from loadtest.bench.progress import say
from loadtest.bench.rig import Options, Rig, started

BATCH = 200
LEASE_SECONDS = 600
RATE = 500


def measure(options: Options) -> Section:
    count, seconds = options.pick(20_000, 20_000), options.pick(6, 3)
    with started(options, {"ROUTINGSIM_LATENCY_MS": "500"}) as rig:
        rig.stop_workers()
        rig.preload("w", BATCH, signed.NO_ROUTE)
        _finish(rig)  # scripts and buffers are there
        rig.empty()
        empty = _used(rig)
        say(f"{count:,} events into Redis, then all of them done")
        rig.preload("m", count, signed.NO_ROUTE)
        waiting = (_used(rig) - empty) / count
        _finish(rig)
        done = (_used(rig) - empty) / count
        rig.empty()
        say(f"{RATE * seconds:,} events through the whole stack")
        rig.start_workers()
        requests = signed.write(rig.folder / "p.requests", "p", RATE * seconds, signed.MIXED)
        Loop(rig.url, requests, RATE).result()
        rig.wait_done(RATE * seconds, 30)
        peaks = peak_mib(rig.stack)
    return Section(
        "memory",
        "an event in Redis, and processes under load",
        f"growth of used_memory over {count:,} events with bodies of {signed.BODY_BYTES} bytes "
        f"(accepted, then done, by the queue's own verbs); VmHWM after {RATE * seconds:,} events "
        f"at {RATE}/s through the whole stack, one in five routed",
        (
            Figure(f"Redis: an event waiting, body of {signed.BODY_BYTES} B", waiting, "bytes"),
            Figure("Redis: an event done (tombstone)", done, "bytes"),
            *(
                Figure(f"peak of one {kind} process (of {count})", peak, "MiB")
                for kind, (peak, count) in peaks.items()
            ),
        ),
    )


def _used(rig: Rig) -> int:
    found = re.search(r"used_memory:(\d+)", rig.redis.command("INFO", "memory").decode())
    assert found is not None
    return int(found[1])


def _finish(rig: Rig) -> None:
    """Carry waiting events to their end as a worker would, without the work."""
    queue, pipeline = pipelined(rig.stack.redis_url)
    while True:
        events = rig.queue.reserve(
            "lookup", BATCH, owner="bench/memory", boot="1", lease_seconds=LEASE_SECONDS
        )
        for event in events:
            queue.done(event, "recorded")
        pipeline.settle()
        if not events:
            break
    pipeline.close()
