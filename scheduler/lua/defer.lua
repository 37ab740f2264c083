-- defer: give the event back without burning an attempt (a store is away, the breaker is open, the
-- process stops, its shipment is not known yet).
--
-- KEYS  1 locks:<lane>  2 event  3 retry  4 wake:scheduler  5 stats
-- ARGV  1 id  2 gen  3 delay (ms; 0: ready again at once, at the head)  4 reason
--       5 floor of the next gen ('': none)  6 answer of the Routing Service to carry ('': none)
--       7 prefix
-- Returns { 'deferred', next attempt (ms) } | { 'not_holder' }
-- include: unrefusable
-- include: clock
-- include: holder
-- include: push
if not holds(KEYS[1], KEYS[2], ARGV[1], ARGV[2]) then
  return refused(KEYS[5])
end
local next_at = now + tonumber(ARGV[3])
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[2], 'reason', ARGV[4])
redis.call('HINCRBY', KEYS[5], 'deferred', 1)
if ARGV[5] ~= '' and tonumber(ARGV[5]) > tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[2], 'gen', ARGV[5])
end
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[2], 'route', ARGV[6])
end
if tonumber(ARGV[3]) > 0 then
  redis.call('HSET', KEYS[2], 'state', 'retry', 'next_at', next_at)
  redis.call('HINCRBY', KEYS[2], 'waits', 1)
  redis.call('ZADD', KEYS[3], next_at, ARGV[1])
  -- include: wake_scheduler
else
  local h = redis.call('HMGET', KEYS[2], 'lane', 'source', 'crashes')
  redis.call('HSET', KEYS[2], 'state', 'ready')
  push(ARGV[7], h[1], h[2], h[3], ARGV[1], true)
end
return { 'deferred', next_at }
