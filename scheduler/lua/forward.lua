-- forward: move an event from the lookup lane to the routing lane, where its attempts, waits and
-- crashes start at 0.
--
-- KEYS  1 stats  2 event  3 locks:lookup
-- ARGV  1 prefix  2 id  3 gen
-- Returns { 'forwarded' } | { 'not_holder' }
-- include: allow_writes_at_maxmemory
-- include: holds_lock
-- include: refuse_stale_holder
-- include: push_ready
local stats_key = KEYS[1]
local event_key = KEYS[2]
local locks_key = KEYS[3]
local prefix = ARGV[1]
local id = ARGV[2]
local gen = ARGV[3]

allow_writes_at_maxmemory(stats_key)
if not holds_lock(locks_key, event_key, id, gen) then
  return refuse_stale_holder(stats_key)
end
redis.call('ZREM', locks_key, id)
redis.call('HSET', event_key, 'state', 'ready', 'lane', 'routing', 'attempts', 0, 'crashes', 0)
redis.call('HDEL', event_key, 'waits', 'reason')
redis.call('HINCRBY', stats_key, 'forwarded', 1)
push_ready(prefix, 'routing', redis.call('HGET', event_key, 'source'), 0, id, false)
return { 'forwarded' }
