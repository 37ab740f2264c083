-- forward: the lookup lane is through with the event; the routing lane takes over, with attempts,
-- waits and crashes of its own.
--
-- KEYS  1 locks:lookup  2 event  3 stats
-- ARGV  1 prefix  2 id  3 gen
-- Returns { 'forwarded' } | { 'not_holder' }
-- include: unrefusable
-- include: holder
-- include: push
if not holds(KEYS[1], KEYS[2], ARGV[2], ARGV[3]) then
  return refused(KEYS[3])
end
redis.call('ZREM', KEYS[1], ARGV[2])
redis.call('HSET', KEYS[2], 'state', 'ready', 'lane', 'routing', 'attempts', 0, 'crashes', 0)
redis.call('HDEL', KEYS[2], 'waits', 'reason')
redis.call('HINCRBY', KEYS[3], 'forwarded', 1)
push(ARGV[1], 'routing', redis.call('HGET', KEYS[2], 'source'), 0, ARGV[2], false)
return { 'forwarded' }
