-- replay: an operator brings a dead letter back. It goes the whole way again, as the last of its
-- source, with attempts and crashes at 0; its history stays.
--
-- KEYS  1 dead  2 event  3 body  4 stats
-- ARGV  1 prefix  2 id
-- Returns { 'replayed' } | { 'not_dead', state ('': unknown id) } | { 'no_body' }
-- include: unrefusable
-- include: clock
-- include: push
local h = redis.call('HMGET', KEYS[2], 'state', 'source')
if h[1] ~= 'dead' or not redis.call('ZSCORE', KEYS[1], ARGV[2]) then
  return { 'not_dead', h[1] or '' }
end
if redis.call('EXISTS', KEYS[3]) == 0 then
  return { 'no_body' }
end
redis.call('ZREM', KEYS[1], ARGV[2])
redis.call('HSET', KEYS[2], 'state', 'ready', 'lane', 'lookup', 'attempts', 0, 'crashes', 0,
  'live_since', now)
redis.call('HDEL', KEYS[2], 'waits')
redis.call('HINCRBY', KEYS[2], 'replays', 1)
redis.call('HINCRBY', KEYS[4], 'replayed', 1)
redis.call('HINCRBY', KEYS[4], 'backlog', 1)
redis.call('HINCRBY', KEYS[4], 'backlog_bytes', redis.call('STRLEN', KEYS[3]))
push(ARGV[1], 'lookup', h[2], 0, ARGV[2], false)
return { 'replayed' }
