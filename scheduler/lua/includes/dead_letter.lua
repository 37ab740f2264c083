-- dead_letter(prefix, stats_key, dead_key, now_ms, id, reason): move an event from the backlog to
-- the dead letters. The caller has removed it from where it was.
local function dead_letter(prefix, stats_key, dead_key, now_ms, id, reason)
  redis.call('HSET', prefix .. 'event:' .. id, 'state', 'dead', 'reason', reason)
  redis.call('ZADD', dead_key, now_ms, id)
  redis.call('HINCRBY', stats_key, 'buried', 1)
  redis.call('HINCRBY', stats_key, 'buried:' .. reason, 1)
  redis.call('HINCRBY', stats_key, 'backlog', -1)
  -- 0 - x: Lua writes the negative of 0 as -0, which Redis refuses.
  local body_bytes = redis.call('STRLEN', prefix .. 'body:' .. id)
  redis.call('HINCRBY', stats_key, 'backlog_bytes', 0 - body_bytes)
end
