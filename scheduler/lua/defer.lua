-- defer: give an event back without consuming an attempt (a store is unavailable, the breaker is
-- open, the process stops, the shipment is unknown).
--
-- KEYS  1 stats  2 event  3 locks:<lane>  4 retry  5 wake:scheduler
-- ARGV  1 prefix  2 id  3 gen  4 delay (ms; 0: ready at once, as the next of its source)  5 reason
--       6 fence that the next gen must exceed ('': none)
--       7 reply of the Routing Service that is still to be recorded ('': none)
-- Returns { 'deferred', next attempt (ms) } | { 'not_holder' }
-- include: allow_writes_at_maxmemory
-- include: clock
-- include: holds_lock
-- include: refuse_stale_holder
-- include: push_ready
-- include: wake_scheduler
local stats_key = KEYS[1]
local event_key = KEYS[2]
local locks_key = KEYS[3]
local retry_key = KEYS[4]
local wake_scheduler_key = KEYS[5]
local prefix = ARGV[1]
local id = ARGV[2]
local gen = ARGV[3]
local delay_ms = tonumber(ARGV[4])
local reason = ARGV[5]
local fence = ARGV[6]
local route = ARGV[7]

allow_writes_at_maxmemory(stats_key)
if not holds_lock(locks_key, event_key, id, gen) then
  return refuse_stale_holder(stats_key)
end
local now_ms = clock()
local next_at_ms = now_ms + delay_ms
redis.call('ZREM', locks_key, id)
redis.call('HSET', event_key, 'reason', reason)
redis.call('HINCRBY', stats_key, 'deferred', 1)
if fence ~= '' and tonumber(fence) > tonumber(gen) then
  redis.call('HSET', event_key, 'gen', fence)
end
if route ~= '' then
  redis.call('HSET', event_key, 'route', route)
end
if delay_ms > 0 then
  redis.call('HSET', event_key, 'state', 'retry', 'next_at', next_at_ms)
  redis.call('HINCRBY', event_key, 'waits', 1)
  redis.call('ZADD', retry_key, next_at_ms, id)
  wake_scheduler(wake_scheduler_key, retry_key, id)
else
  local lane, source, crashes = unpack(redis.call('HMGET', event_key, 'lane', 'source', 'crashes'))
  redis.call('HSET', event_key, 'state', 'ready')
  push_ready(prefix, lane, source, crashes, id, true)
end
return { 'deferred', next_at_ms }
