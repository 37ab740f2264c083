"""Inflicts the planned faults on a running stack, and records what each hit and when it was over.

Faults overlap: each has a thread of its own, and one that lasts waits for the one of its kind
before it. A fault whose target is not running waits for it; one whose target does not come is
missed, and not counted.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from gateway.stack.preflight import PreflightError
from gateway.stack.readiness import StackError
from loadtest.chaos import plan
from loadtest.chaos.environment import LEASE_SECONDS, Environment
from loadtest.chaos.network_faults import MONGO, REDIS
from loadtest.chaos.plan import Planned
from loadtest.chaos.targets import Targets
from loadtest.harness import fault_kinds as kinds
from loadtest.harness import stores
from loadtest.harness.accounts import Fault
from loadtest.harness.wait import WaitTimedOut, wait_until

TARGET_SECONDS = 20.0  # for a target to run: after SIGKILL of supervisord everything starts first
STORE_SECONDS = 30.0  # for a store that was killed to answer again
STARTS = 3  # a `make up` amid kills may fail; its user would type it again
AT_ONCE = 32
POLL_SECONDS = 0.05
# Between two signals. After an outage many faults have waited for their targets: all of them at
# once would be one big fault, and nothing would have run between them.
APART_SECONDS = plan.GAP_SECONDS[0]
# A store is killed again only when it answers: one that is hit while it recovers never does.
ONE_AT_A_TIME = (
    *plan.DURATIONS,
    kinds.KILL_SUPERVISORD,
    kinds.KILL_REDIS,
    kinds.KILL_MONGOD,
)

PROGRAMS = {
    kinds.KILL_EDGE_MASTER: "gateway",
    kinds.KILL_LOOKUP: "worker-lookup",
    kinds.KILL_ROUTING: "worker-routing",
    kinds.KILL_SCHEDULER: "scheduler",
    kinds.KILL_REDIS: "redis",
    kinds.KILL_MONGOD: "mongod",
    kinds.FREEZE: "worker-",
}


class Nemesis:
    """faults: those inflicted, in the order in which they were over."""

    def __init__(self, env: Environment) -> None:
        self.faults: list[Fault] = []
        self.missed: list[Planned] = []
        self.latest = ""
        self._env, self._targets = env, Targets(env.stack)
        self._over = threading.Event()
        self._signalling = threading.Lock()
        self._next_signal = 0.0
        self._one = {kind: threading.Lock() for kind in ONE_AT_A_TIME}
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="fault")

    def run(self, planned: list[Planned], between: Callable[[], None]) -> None:
        """Inflict all of them at their times; ``between`` is called a few times a second."""
        started = time.monotonic()
        futures = []
        for fault in planned:
            while (wait := started + fault.at - time.monotonic()) > 0:
                between()
                time.sleep(min(wait, 0.2))
            futures.append(self._pool.submit(self._inflict, fault))
        for future in futures:
            while not future.done():
                between()
                time.sleep(0.2)
            future.result()  # an error of the harness itself ends the run

    def end(self) -> None:
        """End what lasts at once: frozen processes go on."""
        self._over.set()
        self._pool.shutdown(cancel_futures=True)

    def _inflict(self, fault: Planned) -> None:
        with self._one.get(fault.kind, contextlib.nullcontext()):
            if self._over.is_set():
                return
            self.latest = fault.kind
            match fault.kind:
                case kinds.KILL_SUPERVISORD:
                    done = self._restart_stack(fault)
                case kinds.FREEZE:
                    done = self._freeze(fault)
                case kinds.RESET_REDIS:
                    done = self._reset(fault, REDIS)
                case kinds.RESET_MONGO:
                    done = self._reset(fault, MONGO)
                case kinds.PARTITION_REDIS:
                    done = self._partition(fault, REDIS)
                case kinds.PARTITION_MONGO:
                    done = self._partition(fault, MONGO)
                case kinds.FULL_REDIS:
                    done = self._fill(fault)
                case _:
                    done = self._kill(fault)
        if done is None:
            self.missed.append(fault)
        else:
            self.faults.append(done)

    # ---- processes

    def _kill(self, fault: Planned) -> Fault | None:
        hit = self._hit(self._finder(fault.kind), fault.pick, signal.SIGKILL)
        if hit is None:
            return None
        at, pid, name = hit
        answers = {kinds.KILL_REDIS: self._redis_answers, kinds.KILL_MONGOD: self._mongo_answers}
        if fault.kind in answers:
            self._wait(answers[fault.kind], STORE_SECONDS)
        return Fault(fault.kind, at, time.time(), name, (pid,))

    def _freeze(self, fault: Planned) -> Fault | None:
        hit = self._hit(self._finder(fault.kind), fault.pick, signal.SIGSTOP)
        if hit is None:
            return None
        at, pid, name = hit
        self._over.wait(LEASE_SECONDS + fault.seconds)
        if self._targets.has(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        return Fault(fault.kind, at, time.time(), name, (pid,))

    def _restart_stack(self, fault: Planned) -> Fault | None:
        hit = self._hit(self._targets.supervisord, fault.pick, signal.SIGKILL)
        if hit is None:
            return None
        at, _, name = hit
        orphans = tuple(self._targets.all())
        self._env.stack_thread.submit(self._make_up).result()
        return Fault(fault.kind, at, time.time(), f"{name} and {len(orphans)} orphans", orphans)

    def _make_up(self) -> None:
        stack = self._env.stack
        self._wait(lambda: not stack.is_up(), 10)
        for _ in range(STARTS - 1):
            with contextlib.suppress(StackError, PreflightError):
                return stack.start()
        return stack.start()

    def _finder(self, kind: str) -> Callable[[], Mapping[int, str]]:
        if kind == kinds.KILL_EDGE_WORKER:
            return self._targets.edge_workers
        return lambda: self._targets.of(PROGRAMS[kind])

    def _hit(
        self, find: Callable[[], Mapping[int, str]], pick: float, number: signal.Signals
    ) -> tuple[float, int, str] | None:
        """Send the signal to one of the processes found: when, its pid, its name. None: there was
        no such process in time."""
        until = time.monotonic() + TARGET_SECONDS
        while time.monotonic() < until and not self._over.is_set():
            with self._signalling:
                found = find() if time.monotonic() >= self._next_signal else {}
                if found:
                    pid = list(found)[int(pick * len(found))]
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
                        self._next_signal = time.monotonic() + APART_SECONDS
                        return time.time(), pid, found[pid]
            time.sleep(0.2)
        return None

    # ---- network and memory

    def _reset(self, fault: Planned, store: str) -> Fault:
        at = time.time()
        ends = self._env.network.reset(store)
        return Fault(fault.kind, at, time.time(), f"{ends // 2} connections")

    def _partition(self, fault: Planned, store: str) -> Fault:
        at = time.time()
        self._env.network.partition(store, fault.seconds)
        return Fault(fault.kind, at, time.time(), f"{fault.seconds:.1f} s")

    def _fill(self, fault: Planned) -> Fault | None:
        """maxmemory far below what Redis uses. A Redis that is killed during this starts as it was
        configured, which ends the fault, too."""
        at = time.time()
        client = stores.redis(self._env.redis_url)
        try:
            before = client.config_get("maxmemory")["maxmemory"]
            used_bytes = int(client.info("memory")["used_memory"])
            client.config_set("maxmemory", used_bytes // 2)
        except (RedisError, OSError):
            return None  # it is down
        self._over.wait(fault.seconds)

        def restored() -> bool:
            with contextlib.suppress(RedisError, OSError):
                return bool(client.config_set("maxmemory", before))
            return False

        self._wait(restored, STORE_SECONDS)
        client.close()
        return Fault(fault.kind, at, time.time(), f"{used_bytes // 2:,} bytes")

    # ---- conditions

    def _redis_answers(self) -> bool:
        with (
            contextlib.suppress(RedisError, OSError),
            contextlib.closing(stores.redis(self._env.redis_url)) as client,
        ):
            return bool(client.ping())
        return False

    def _mongo_answers(self) -> bool:
        with (
            contextlib.suppress(PyMongoError),
            contextlib.closing(stores.mongo(self._env.mongo_url, 1)) as client,
        ):
            return bool(client.admin.command("ping"))
        return False

    def _wait(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait until the condition holds or the run ends, ``seconds`` at most."""
        with contextlib.suppress(WaitTimedOut):
            wait_until(
                lambda: self._over.is_set() or condition(),
                seconds,
                "the fault to be over",
                poll_seconds=POLL_SECONDS,
            )
