-- done: the ledger is closed; what remains is a tombstone that absorbs duplicates.
--
-- KEYS  1 locks:<lane>  2 event  3 body  4 done  5 stats
-- ARGV  1 id  2 gen  3 outcome (counted)
-- Returns { 'done' } | { 'not_holder' }
-- include: unrefusable
-- include: clock
-- include: holder
if not holds(KEYS[1], KEYS[2], ARGV[1], ARGV[2]) then
  return refused(KEYS[5])
end
local h = redis.call('HMGET', KEYS[2], 'digest', 'received_at')
redis.call('HINCRBY', KEYS[5], 'backlog', -1)
redis.call('HINCRBY', KEYS[5], 'backlog_bytes', 0 - redis.call('STRLEN', KEYS[3]))
redis.call('HINCRBY', KEYS[5], 'done', 1)
redis.call('HINCRBY', KEYS[5], 'done:' .. ARGV[3], 1)
redis.call('HINCRBY', KEYS[5], 'done_ms', math.max(0, now - (tonumber(h[2]) or now)))
redis.call('ZREM', KEYS[1], ARGV[1])
-- Deleted and written anew: fields taken out of a hash leave their room behind.
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('HSET', KEYS[2], 'state', 'done', 'digest', h[1] or '')
redis.call('ZADD', KEYS[4], now, ARGV[1])
return { 'done' }
