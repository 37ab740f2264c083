"""``make fuzz``: REQUESTS (default 200,000), SEED (today's date), KIND (meinheld or gthread).

On the first case that fails it exits with 1, prints the bytes and how to repeat the case: ONLY is a
case number, or the first and last one joined by a dash.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from redis import Redis

from tests.fuzz.run import BadCase, Tally, fuzz
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
        except BadCase as bad:
            report(bad, seed, kind)
            return 1
        finally:
            edge.stop()
            redis.stop()
    return 0


def progress(done: int, seconds: float) -> None:
    print(f"\r{done:>9,} sent, {done / seconds:,.0f}/s", end="", file=sys.stderr, flush=True)


def show(tally: Tally) -> None:
    """Print the answers by kind of case. A case with several answers is one row for all of them."""
    print("\n\nkind of case        answers        connections")
    rows = sorted(tally.table.items(), key=lambda row: (row[0][0], -row[1]))
    for (kind, answers), count in rows:
        print(f"{kind:<18}  {answers:<13}  {count:>11,}")
    print(
        f"{'all':<18}  {'':<13}  {tally.table.total():>11,}\n"
        f"\n{tally.stored:,} events stored, each with the bytes that were signed. No 5xx except "
        "meinheld's 503 to an\nincomplete request and gunicorn's 501 to an unknown coding; no "
        "hang, no restart, no wrong 2xx."
    )


def report(bad: BadCase, seed: int, kind: str) -> None:
    case = bad.case
    path = Path(tempfile.gettempdir()) / f"fuzz-{seed}-{case.number}.http"
    path.write_bytes(case.sent)
    print(
        f"\n\nBAD: case {case.number} ({case.kind}): {bad}\n\n{case.sent[:1000]!r}\n"
        f"\nThe bytes are in {path}. To repeat it:\n"
        f"  make fuzz KIND={kind} SEED={seed} ONLY={case.number}\n"
        f"  nc -N 127.0.0.1 8080 < {path}"
    )


if __name__ == "__main__":
    sys.exit(main())
