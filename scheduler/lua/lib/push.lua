-- push(prefix, lane, source, crashes, id, head): the id is ready to be taken, as the last or, with
-- head, the next of its source. The source takes its turn and one sleeping worker is woken. From
-- its second crash on an event waits among the suspects, so that its neighbours do not pay.
local WAKE_MAX = 8
local SUSPECT_CRASHES = 2
local function push(prefix, lane, source, crashes, id, head)
  if (tonumber(crashes) or 0) >= SUSPECT_CRASHES then
    source = '!suspects'
  end
  redis.call(head and 'RPUSH' or 'LPUSH', prefix .. 'ready:' .. lane .. ':' .. source, id)
  local turn = prefix .. 'turn:' .. lane
  if not redis.call('LPOS', turn, source) then
    redis.call('RPUSH', turn, source)
  end
  local wake = prefix .. 'wake:' .. lane
  if redis.call('LLEN', wake) < WAKE_MAX then
    redis.call('LPUSH', wake, '1')
  end
end
