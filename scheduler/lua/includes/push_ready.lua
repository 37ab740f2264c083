-- push_ready(prefix, lane, source, crashes, id, at_head): make the id ready to be taken, as the
-- last event of its source or, with at_head, the next one, and wake one worker. From its
-- QUARANTINE_CRASHES-th crash on, an event waits in the quarantine instead, apart from other
-- events.
-- constant: QUARANTINE
-- constant: QUARANTINE_CRASHES
-- constant: WAKE_MAX
-- include: join_round_robin
-- include: wake
local function push_ready(prefix, lane, source, crashes, id, at_head)
  if (tonumber(crashes) or 0) >= QUARANTINE_CRASHES then
    source = QUARANTINE
  end
  redis.call(at_head and 'RPUSH' or 'LPUSH', prefix .. 'ready:' .. lane .. ':' .. source, id)
  join_round_robin(prefix .. 'turn:' .. lane, source)
  wake(prefix .. 'wake:' .. lane, WAKE_MAX)
end
