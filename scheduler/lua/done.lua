-- done: the event is finished (the ledger is closed). A tombstone remains and absorbs duplicates.
--
-- KEYS  1 stats  2 event  3 body  4 locks:<lane>  5 done
-- ARGV  1 id  2 gen  3 outcome (counted)
-- Returns { 'done' } | { 'not_holder' }
-- include: allow_writes_at_maxmemory
-- include: clock
-- include: holds_lock
-- include: refuse_stale_holder
local stats_key = KEYS[1]
local event_key = KEYS[2]
local body_key = KEYS[3]
local locks_key = KEYS[4]
local done_key = KEYS[5]
local id = ARGV[1]
local gen = ARGV[2]
local outcome = ARGV[3]

allow_writes_at_maxmemory(stats_key)
if not holds_lock(locks_key, event_key, id, gen) then
  return refuse_stale_holder(stats_key)
end
local now_ms = clock()
local digest, received_at = unpack(redis.call('HMGET', event_key, 'digest', 'received_at'))
redis.call('HINCRBY', stats_key, 'backlog', -1)
redis.call('HINCRBY', stats_key, 'backlog_bytes', 0 - redis.call('STRLEN', body_key))
redis.call('HINCRBY', stats_key, 'done', 1)
redis.call('HINCRBY', stats_key, 'done:' .. outcome, 1)
redis.call('HINCRBY', stats_key, 'done_ms', math.max(0, now_ms - (tonumber(received_at) or now_ms)))
redis.call('ZREM', locks_key, id)
-- Deleted and written again: HDEL does not give back the memory of a hash's fields.
redis.call('DEL', event_key, body_key)
redis.call('HSET', event_key, 'state', 'done', 'digest', digest or '')
redis.call('ZADD', done_key, now_ms, id)
return { 'done' }
