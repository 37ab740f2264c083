-- entomb(prefix, dead, stats, now, id, reason): from the backlog to the dead letters.
local function entomb(prefix, dead, stats, now, id, reason)
  redis.call('HSET', prefix .. 'event:' .. id, 'state', 'dead', 'reason', reason)
  redis.call('ZADD', dead, now, id)
  redis.call('HINCRBY', stats, 'buried', 1)
  redis.call('HINCRBY', stats, 'buried:' .. reason, 1)
  redis.call('HINCRBY', stats, 'backlog', -1)
  -- 0 - x, for Lua writes the negative of 0 as -0, which Redis refuses.
  redis.call('HINCRBY', stats, 'backlog_bytes', 0 - redis.call('STRLEN', prefix .. 'body:' .. id))
end
