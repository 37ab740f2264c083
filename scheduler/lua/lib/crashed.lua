-- crashed(prefix, dead, stats, now, id, max_crashes): the holder of a lock is gone (the caller has
-- removed the lock). The event waits at the head of its source; at max_crashes it is dead as poison.
local function crashed(prefix, dead, stats, now, id, max_crashes)
  local event = prefix .. 'event:' .. id
  local crashes = redis.call('HINCRBY', event, 'crashes', 1)
  redis.call('HINCRBY', stats, 'crashed', 1)
  if crashes >= max_crashes then
    entomb(prefix, dead, stats, now, id, 'poison')
  else
    local h = redis.call('HMGET', event, 'lane', 'source')
    redis.call('HSET', event, 'state', 'ready')
    push(prefix, h[1], h[2], crashes, id, true)
  end
end
