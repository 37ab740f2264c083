-- drop: an operator gives a dead letter up. A tombstone remains, so that the courier's resend of it
-- is a duplicate still.
--
-- KEYS  1 dead  2 event  3 body  4 done  5 stats
-- ARGV  1 id
-- Returns { 'dropped' } | { 'not_dead', state ('': unknown id) }
-- include: unrefusable
-- include: clock
local h = redis.call('HMGET', KEYS[2], 'state', 'digest', 'reason')
if h[1] ~= 'dead' or not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  return { 'not_dead', h[1] or '' }
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('HSET', KEYS[2], 'state', 'dropped', 'digest', h[2] or '', 'reason', h[3] or '')
redis.call('ZADD', KEYS[4], now, ARGV[1])
redis.call('HINCRBY', KEYS[5], 'dropped', 1)
return { 'dropped' }
