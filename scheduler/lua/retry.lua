-- retry: the attempt failed; the event waits for its next one.
--
-- KEYS  1 locks:<lane>  2 event  3 retry  4 wake:scheduler  5 stats
-- ARGV  1 id  2 gen  3 delay (ms)  4 error (short)
-- Returns { 'retrying', next attempt (ms) } | { 'not_holder' }
-- include: unrefusable
-- include: clock
-- include: holder
if not holds(KEYS[1], KEYS[2], ARGV[1], ARGV[2]) then
  return refused(KEYS[5])
end
local next_at = now + tonumber(ARGV[3])
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[2], 'state', 'retry', 'next_at', next_at, 'last_error', ARGV[4])
redis.call('HINCRBY', KEYS[2], 'attempts', 1)
redis.call('HDEL', KEYS[2], 'waits', 'reason')
redis.call('ZADD', KEYS[3], next_at, ARGV[1])
redis.call('HINCRBY', KEYS[5], 'retried', 1)
-- include: wake_scheduler
return { 'retrying', next_at }
