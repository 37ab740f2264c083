-- replay: an operator brings back a dead letter. It starts again in the lookup lane, as the last
-- event of its source, with attempts and crashes at 0; its history stays.
--
-- KEYS  1 stats  2 event  3 body  4 dead
-- ARGV  1 prefix  2 id
-- Returns { 'replayed' } | { 'not_dead', state ('': unknown id) } | { 'no_body' }
-- include: allow_writes_at_maxmemory
-- include: clock
-- include: push_ready
local stats_key = KEYS[1]
local event_key = KEYS[2]
local body_key = KEYS[3]
local dead_key = KEYS[4]
local prefix = ARGV[1]
local id = ARGV[2]

allow_writes_at_maxmemory(stats_key)
local now_ms = clock()
local state, source = unpack(redis.call('HMGET', event_key, 'state', 'source'))
if state ~= 'dead' or not redis.call('ZSCORE', dead_key, id) then
  return { 'not_dead', state or '' }
end
if redis.call('EXISTS', body_key) == 0 then
  return { 'no_body' }
end
redis.call('ZREM', dead_key, id)
redis.call('HSET', event_key, 'state', 'ready', 'lane', 'lookup', 'attempts', 0, 'crashes', 0,
  'live_since', now_ms)
redis.call('HDEL', event_key, 'waits')
redis.call('HINCRBY', event_key, 'replays', 1)
redis.call('HINCRBY', stats_key, 'replayed', 1)
redis.call('HINCRBY', stats_key, 'backlog', 1)
redis.call('HINCRBY', stats_key, 'backlog_bytes', redis.call('STRLEN', body_key))
push_ready(prefix, 'lookup', source, 0, id, false)
return { 'replayed' }
