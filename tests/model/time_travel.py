"""When a verb ran, by Redis's clock, and a way to let time pass without sleeping."""

from __future__ import annotations

from typing import Any

from redis import Redis

from scheduler.connection import RedisConnection
from scheduler.scripts import Script

# Moves every time in the store into the past: for its readers so much time has passed.
_LET_TIME_PASS = """
local p, ms = '{gw:0}:', tonumber(ARGV[1])
for _, key in ipairs({ 'locks:lookup', 'locks:routing', 'retry', 'dead', 'done' }) do
  for _, id in ipairs(redis.call('ZRANGE', p .. key, 0, -1)) do
    redis.call('ZINCRBY', p .. key, 0 - ms, id)
  end
end
local function earlier(key, names)
  for _, name in ipairs(names) do
    if redis.call('HEXISTS', key, name) == 1 then
      redis.call('HINCRBY', key, name, 0 - ms)
    end
  end
end
earlier(p .. 'stats', { 'promoted_at', 'spare_until', 'drain_at' })
for _, name in ipairs(redis.call('HKEYS', p .. 'stats')) do
  if name:find('seen:', 1, true) == 1 then
    earlier(p .. 'stats', { name })
  end
end
for _, key in ipairs(redis.call('KEYS', p .. '*')) do
  if key:find(p .. 'event:', 1, true) == 1 then
    earlier(key, { 'received_at', 'live_since', 'next_at' })
  elseif key:find(p .. 'quota:', 1, true) == 1 then
    earlier(key, { 'at' })
  elseif key:find(p .. 'alone:', 1, true) == 1 then
    redis.call('PEXPIRE', key, redis.call('PTTL', key) - ms)
  end
end
"""


def let_time_pass(store: Redis, ms: int) -> None:
    """Let ``ms`` pass."""
    store.eval(_LET_TIME_PASS, 0, ms)


class ClockedConnection(RedisConnection):
    """span: Redis's clock in µs before and after the script that ran last."""

    def __init__(self, url: str) -> None:
        super().__init__(url, timeout_seconds=30)  # a slow machine must not fail the test
        self.span = (0, 0)

    def run_packed(self, script: Script, packed: bytes) -> Any:
        before = self._clock()
        try:
            return super().run_packed(script, packed)
        finally:
            self.span = (before, self._clock())

    def _clock(self) -> int:
        seconds, micros = self.command("TIME")
        return int(seconds) * 1_000_000 + int(micros)
