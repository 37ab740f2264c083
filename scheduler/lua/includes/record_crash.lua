-- record_crash(prefix, stats_key, dead_key, now_ms, id, max_crashes): the process that held the
-- lock has crashed; the caller has removed the lock. The event is ready again, as the next of its
-- source. At max_crashes it becomes a dead letter with reason poison.
-- include: push_ready
-- include: dead_letter
local function record_crash(prefix, stats_key, dead_key, now_ms, id, max_crashes)
  local event_key = prefix .. 'event:' .. id
  local crashes = redis.call('HINCRBY', event_key, 'crashes', 1)
  redis.call('HINCRBY', stats_key, 'crashed', 1)
  if crashes >= max_crashes then
    dead_letter(prefix, stats_key, dead_key, now_ms, id, 'poison')
  else
    local lane, source = unpack(redis.call('HMGET', event_key, 'lane', 'source'))
    redis.call('HSET', event_key, 'state', 'ready')
    push_ready(prefix, lane, source, crashes, id, true)
  end
end
