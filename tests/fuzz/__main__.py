"""``make fuzz``: REQUESTS (200,000), SEED (of the day), KIND (the server: meinheld or gthread).

Exit 1 with the bytes of the first bad request, and how to send it again: ONLY=its number, or the
first and the last number with a dash between them.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from redis import Redis

from tests.fuzz.run import Bad, Tally, fuzz
from tests.support.edge import Edge, kinds
from tests.support.servers import RedisServer, redis_binaries


def main() -> int:
    seed = int(os.environ.get("SEED") or time.strftime("%Y%m%d"))
    requests = int(os.environ.get("REQUESTS") or 200_000)
    only = os.environ.get("ONLY")
    kind = os.environ.get("KIND") or kinds()[0]
    numbers = range(requests)
    if only:
        first, _, last = only.partition("-")
        numbers = range(int(first), int(last or first) + 1)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        redis = RedisServer(redis_binaries()[-1], Path(folder), "--appendonly", "no").start()
        edge = Edge(Path(folder), redis.url, kind, WEB_CONCURRENCY="2")
        try:
            print(f"fuzz: {len(numbers):,} requests to {kind}, seed {seed}", flush=True)
            edge.start()
            store = Redis.from_url(redis.url, protocol=2)
            show(fuzz(edge, store, seed, numbers, progress))
        except Bad as bad:
            tell(bad, seed, kind)
            return 1
        finally:
            edge.stop()
            redis.stop()
    return 0


def progress(done: int, seconds: float) -> None:
    print(f"\r{done:>9,} sent, {done / seconds:,.0f}/s", end="", file=sys.stderr, flush=True)


def show(tally: Tally) -> None:
    """The statuses seen, by kind of case. A case with several answers counts for the whole row."""
    print("\n\nkind of case        answers        connections")
    rows = sorted(tally.table.items(), key=lambda row: (row[0][0], -row[1]))
    for (kind, answers), count in rows:
        print(f"{kind:<18}  {answers:<13}  {count:>11,}")
    print(
        f"{'all':<18}  {'':<13}  {tally.table.total():>11,}\n"
        f"\n{tally.stored:,} events stored, each with the bytes that were signed; no 5xx but the "
        "503 of meinheld\nto half a request and the 501 of gunicorn to a coding it has not; no "
        "hang, no restart, no false 2xx."
    )


def tell(bad: Bad, seed: int, kind: str) -> None:
    case = bad.case
    path = Path(tempfile.gettempdir()) / f"fuzz-{seed}-{case.number}.http"
    path.write_bytes(case.sent)
    print(
        f"\n\nBAD: case {case.number} ({case.kind}): {bad}\n\n{case.sent[:1000]!r}\n"
        f"\nThe bytes are in {path}. Again:\n"
        f"  make fuzz KIND={kind} SEED={seed} ONLY={case.number}\n"
        f"  nc -N 127.0.0.1 8080 < {path}"
    )


if __name__ == "__main__":
    sys.exit(main())
