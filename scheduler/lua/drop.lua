-- drop: an operator gives up a dead letter. A tombstone remains, so that the event is still a
-- duplicate when the courier sends it again.
--
-- KEYS  1 stats  2 event  3 body  4 dead  5 done
-- ARGV  1 id
-- Returns { 'dropped' } | { 'not_dead', state ('': unknown id) }
-- include: allow_writes_at_maxmemory
-- include: clock
local stats_key = KEYS[1]
local event_key = KEYS[2]
local body_key = KEYS[3]
local dead_key = KEYS[4]
local done_key = KEYS[5]
local id = ARGV[1]

allow_writes_at_maxmemory(stats_key)
local now_ms = clock()
local state, digest, reason = unpack(redis.call('HMGET', event_key, 'state', 'digest', 'reason'))
if state ~= 'dead' or not redis.call('ZSCORE', dead_key, id) then
  return { 'not_dead', state or '' }
end
redis.call('ZREM', dead_key, id)
redis.call('DEL', event_key, body_key)
redis.call('HSET', event_key, 'state', 'dropped', 'digest', digest or '', 'reason', reason or '')
redis.call('ZADD', done_key, now_ms, id)
redis.call('HINCRBY', stats_key, 'dropped', 1)
return { 'dropped' }
