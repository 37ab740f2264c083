-- retry: the attempt failed; the event waits for its next one.
--
-- KEYS  1 stats  2 event  3 locks:<lane>  4 retry  5 wake:scheduler
-- ARGV  1 id  2 gen  3 delay (ms)  4 error (short)
-- Returns { 'retrying', next attempt (ms) } | { 'not_holder' }
-- include: allow_writes_at_maxmemory
-- include: clock
-- include: holds_lock
-- include: refuse_stale_holder
-- include: wake_scheduler
local stats_key = KEYS[1]
local event_key = KEYS[2]
local locks_key = KEYS[3]
local retry_key = KEYS[4]
local wake_scheduler_key = KEYS[5]
local id = ARGV[1]
local gen = ARGV[2]
local delay_ms = tonumber(ARGV[3])
local error_text = ARGV[4]

allow_writes_at_maxmemory(stats_key)
if not holds_lock(locks_key, event_key, id, gen) then
  return refuse_stale_holder(stats_key)
end
local now_ms = clock()
local next_at_ms = now_ms + delay_ms
redis.call('ZREM', locks_key, id)
redis.call('HSET', event_key, 'state', 'retry', 'next_at', next_at_ms, 'last_error', error_text)
redis.call('HINCRBY', event_key, 'attempts', 1)
redis.call('HDEL', event_key, 'waits', 'reason')
redis.call('ZADD', retry_key, next_at_ms, id)
redis.call('HINCRBY', stats_key, 'retried', 1)
wake_scheduler(wake_scheduler_key, retry_key, id)
return { 'retrying', next_at_ms }
