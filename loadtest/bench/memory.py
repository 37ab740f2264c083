"""Memory: what an event takes in Redis, and the peak of each kind of process under load."""

from __future__ import annotations

from loadtest.bench.paced import Loop
from loadtest.harness import signed
from loadtest.harness.environment import Environment, Options, started
from loadtest.harness.figures import Figure, Section
from loadtest.harness.pipeline import pipelined
from loadtest.harness.processes import peak_mib
from loadtest.harness.progress import say

COUNT = 20_000
BATCH = 200
LEASE_SECONDS = 600
RATE = 500


def measure(options: Options) -> Section:
    seconds = options.pick(6, 3)
    with started(options, {"ROUTINGSIM_LATENCY_MS": "500"}) as env:
        env.stop_workers()
        env.preload("w", BATCH, signed.NO_ROUTE)
        _finish(env)  # scripts and buffers are there
        env.empty()
        empty_bytes = env.used_memory_bytes()
        say(f"{COUNT:,} events into Redis, then all of them done")
        env.preload("m", COUNT, signed.NO_ROUTE)
        waiting = (env.used_memory_bytes() - empty_bytes) / COUNT
        _finish(env)
        done = (env.used_memory_bytes() - empty_bytes) / COUNT
        env.empty()
        say(f"{RATE * seconds:,} events through the whole stack")
        env.start_workers()
        requests = signed.write(env.folder / "p.requests", "p", RATE * seconds, signed.MIXED)
        Loop(env.url, requests, RATE).result()
        env.wait_done(RATE * seconds, 30)
        peaks = peak_mib(env.stack)
    return Section(
        "memory",
        "an event in Redis, and processes under load",
        f"growth of used_memory over {COUNT:,} events with bodies of {signed.BODY_BYTES} bytes "
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


def _finish(env: Environment) -> None:
    """Carry waiting events to their end as a worker would, without the work."""
    queue, pipeline = pipelined(env.stack.redis_url)
    while True:
        events = env.queue.reserve(
            "lookup", BATCH, owner="bench/memory", boot="1", lease_seconds=LEASE_SECONDS
        )
        for event in events:
            queue.done(event, "recorded")
        pipeline.settle()
        if not events:
            break
    pipeline.close()
