"""Does what the plan says to a running stack, and writes down what was hit and when it was over.

Faults overlap: each has a thread of its own, and one of a kind that lasts waits for the one of its
kind before it. A fault whose victim is not running waits for it; one that never gets it is missed,
and not counted.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor

from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from gateway.stack.preflight import PreflightError
from gateway.stack.readiness import StackError
from gateway.stack.stack import Stack
from loadtest.chaos import plan
from loadtest.chaos.network_faults import Wires
from loadtest.chaos.plan import Planned
from loadtest.chaos.targets import Victims
from loadtest.harness import stores
from loadtest.harness.accounts import Fault

VICTIM_SECONDS = 20.0  # for a victim to run: after SIGKILL of supervisord it takes a whole start
STORE_SECONDS = 30.0  # for a store that was killed to answer again
STARTS = 3  # a `make up` amid kills may fail; its user would type it again
AT_ONCE = 32
# Between two signals. After an outage many faults have waited for their victims: all of them at
# once would be one big fault, and nothing would have run between them.
APART_SECONDS = plan.GAP[0]
# A store is killed again only when it answers: one that is hit while it recovers never does.
ONE_AT_A_TIME = (*plan.LASTS, plan.KILL_SUPERVISORD, plan.KILL_REDIS, plan.KILL_MONGOD)

PROGRAMS = {
    plan.KILL_EDGE_MASTER: "gateway",
    plan.KILL_LOOKUP: "worker-lookup",
    plan.KILL_ROUTING: "worker-routing",
    plan.KILL_SCHEDULER: "scheduler",
    plan.KILL_REDIS: "redis",
    plan.KILL_MONGOD: "mongod",
    plan.FREEZE: "worker-",
}


class Faults:
    """log: what happened, in the order in which it was over. keeper: a thread that lasts as long as
    the stack, for a stack ends with the thread that started it."""

    def __init__(self, stack: Stack, wires: Wires, lease: float, keeper: Executor) -> None:
        self.log: list[Fault] = []
        self.missed: list[Planned] = []
        self.latest = ""
        self._stack, self._victims, self._wires = stack, Victims(stack), wires
        self._lease, self._keeper = lease, keeper
        self._over = threading.Event()
        self._turn = threading.Lock()
        self._next_signal = 0.0
        self._one = {kind: threading.Lock() for kind in ONE_AT_A_TIME}
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="fault")

    @property
    def counts(self) -> Counter[str]:
        return Counter(fault.kind for fault in self.log)

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
            future.result()  # a fault of the harness itself ends the run

    def end(self) -> None:
        """What lasts is over at once: frozen processes go on."""
        self._over.set()
        self._pool.shutdown(cancel_futures=True)

    def _inflict(self, fault: Planned) -> None:
        with self._one.get(fault.kind, contextlib.nullcontext()):
            if self._over.is_set():
                return
            self.latest = fault.kind
            match fault.kind:
                case plan.KILL_SUPERVISORD:
                    done = self._renew(fault)
                case plan.FREEZE:
                    done = self._freeze(fault)
                case plan.CUT_REDIS | plan.CUT_MONGO | plan.HOLE_REDIS | plan.HOLE_MONGO:
                    done = self._wire(fault)
                case plan.FULL_REDIS:
                    done = self._fill(fault)
                case _:
                    done = self._kill(fault)
        if done is None:
            self.missed.append(fault)
        else:
            self.log.append(done)

    # ---- processes

    def _kill(self, fault: Planned) -> Fault | None:
        hit = self._hit(self._finder(fault.kind), fault.pick, signal.SIGKILL)
        if hit is None:
            return None
        at, pid, name = hit
        answers = {plan.KILL_REDIS: self._redis_answers, plan.KILL_MONGOD: self._mongo_answers}
        if fault.kind in answers:
            self._wait(answers[fault.kind], STORE_SECONDS)
        return Fault(fault.kind, at, time.time(), name, (pid,))

    def _freeze(self, fault: Planned) -> Fault | None:
        hit = self._hit(self._finder(fault.kind), fault.pick, signal.SIGSTOP)
        if hit is None:
            return None
        at, pid, name = hit
        self._over.wait(self._lease + fault.seconds)
        if self._victims.has(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        return Fault(fault.kind, at, time.time(), name, (pid,))

    def _renew(self, fault: Planned) -> Fault | None:
        hit = self._hit(self._victims.supervisord, fault.pick, signal.SIGKILL)
        if hit is None:
            return None
        at, _, name = hit
        orphans = tuple(self._victims.all())
        self._keeper.submit(self._make_up).result()
        return Fault(fault.kind, at, time.time(), f"{name} and {len(orphans)} orphans", orphans)

    def _make_up(self) -> None:
        self._wait(lambda: not self._stack.is_up(), 10)
        for _ in range(STARTS - 1):
            with contextlib.suppress(StackError, PreflightError):
                return self._stack.start()
        return self._stack.start()

    def _finder(self, kind: str) -> Callable[[], Mapping[int, str]]:
        if kind == plan.KILL_EDGE_WORKER:
            return self._victims.edge_workers
        return lambda: self._victims.of(PROGRAMS[kind])

    def _hit(
        self, find: Callable[[], Mapping[int, str]], pick: float, number: signal.Signals
    ) -> tuple[float, int, str] | None:
        """Send one of those found the signal: when, which, its name. None: there never was one."""
        until = time.monotonic() + VICTIM_SECONDS
        while time.monotonic() < until and not self._over.is_set():
            with self._turn:
                found = find() if time.monotonic() >= self._next_signal else {}
                if found:
                    pid = list(found)[int(pick * len(found))]
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
                        self._next_signal = time.monotonic() + APART_SECONDS
                        return time.time(), pid, found[pid]
            time.sleep(0.2)
        return None

    # ---- wires and memory

    def _wire(self, fault: Planned) -> Fault:
        at = time.time()
        store = "Redis" if fault.kind in (plan.CUT_REDIS, plan.HOLE_REDIS) else "Mongo"
        if fault.kind in (plan.CUT_REDIS, plan.CUT_MONGO):
            target = f"{self._wires.cut(store) // 2} connections"
        else:
            self._wires.hole(store, fault.seconds)
            target = f"{fault.seconds:.1f} s"
        return Fault(fault.kind, at, time.time(), target)

    def _fill(self, fault: Planned) -> Fault | None:
        """maxmemory far below what Redis uses. One that is killed meanwhile comes back as it was
        configured, and that ends it, too."""
        at = time.time()
        client = self._wires.redis()
        try:
            before = client.config_get("maxmemory")["maxmemory"]
            used = int(client.info("memory")["used_memory"])
            client.config_set("maxmemory", used // 2)
        except (RedisError, OSError):
            return None  # it is just down
        self._over.wait(fault.seconds)

        def restored() -> bool:
            with contextlib.suppress(RedisError, OSError):
                return bool(client.config_set("maxmemory", before))
            return False

        self._wait(restored, STORE_SECONDS)
        client.close()
        return Fault(fault.kind, at, time.time(), f"{used // 2:,} bytes")

    # ---- conditions

    def _redis_answers(self) -> bool:
        with (
            contextlib.suppress(RedisError, OSError),
            contextlib.closing(self._wires.redis()) as client,
        ):
            return bool(client.ping())
        return False

    def _mongo_answers(self) -> bool:
        with (
            contextlib.suppress(PyMongoError),
            contextlib.closing(stores.mongo(self._wires.mongo_port, 1)) as client,
        ):
            return bool(client.admin.command("ping"))
        return False

    def _wait(self, condition: Callable[[], bool], seconds: float) -> None:
        until = time.monotonic() + seconds
        while not condition() and time.monotonic() < until and not self._over.is_set():
            time.sleep(0.05)
