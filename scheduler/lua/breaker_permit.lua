-- breaker_permit: whether routing calls may be made now, and how many.
--
-- KEYS  1 breaker  2 probes
-- ARGV  1 holder (makes permits unique)  2 permits wanted  3 lifetime of a permit (ms)
-- Returns { state, ms until a probe is allowed, permit … }
--   closed: no permit is needed | open: none is given | half_open: as many as the ramp allows
-- A permit that is never reported (its holder crashed) expires.
-- constant: BREAKER_RAMP
-- include: allow_writes_at_maxmemory
-- include: clock
local breaker_key = KEYS[1]
local probes_key = KEYS[2]
local holder = ARGV[1]
local wanted = tonumber(ARGV[2])
local lifetime_ms = tonumber(ARGV[3])

allow_writes_at_maxmemory(breaker_key)
local now_ms, now_micros = clock()
local state, open_until, good = unpack(redis.call('HMGET', breaker_key, 'state', 'until', 'good'))
if not state or state == 'closed' then
  return { 'closed', 0 }
end
if state == 'open' then
  local wait_ms = tonumber(open_until) - now_ms
  if wait_ms > 0 then
    return { 'open', wait_ms }
  end
  state, good = 'half_open', 0
  redis.call('HSET', breaker_key, 'state', state, 'good', 0, 'bad', 0)
end
redis.call('ZREMRANGEBYSCORE', probes_key, '-inf', now_ms)
local reply = { state, 0 }
local free = math.max(1, BREAKER_RAMP * tonumber(good)) - redis.call('ZCARD', probes_key)
for i = 1, math.min(free, wanted) do
  local permit = string.format('%s:%.0f:%d', holder, now_micros, i)
  redis.call('ZADD', probes_key, now_ms + lifetime_ms, permit)
  reply[#reply + 1] = permit
end
return reply
