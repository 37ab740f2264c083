-- breaker_permit: may routing calls be made now, and how many?
--
-- KEYS  1 breaker  2 probes
-- ARGV  1 permits wanted  2 life of a permit (ms)  3 name of the holder, to make permits unique
-- Returns { state, ms until the breaker lets anybody try, permit … }
--   closed: no permit is needed | open: none are given | half_open: as many as the ramp allows
-- A permit that is not handed back (its holder died) ends by itself.
-- include: unrefusable
-- include: clock
local RAMP = 4 -- permits at once for each probe that succeeded; the first goes alone
local h = redis.call('HMGET', KEYS[1], 'state', 'until', 'good')
local state = h[1] or 'closed'
if state == 'closed' then
  return { 'closed', 0 }
end
if state == 'open' then
  local wait = tonumber(h[2]) - now
  if wait > 0 then
    return { 'open', wait }
  end
  state = 'half_open'
  redis.call('HSET', KEYS[1], 'state', state, 'good', 0, 'bad', 0)
  h[3] = '0'
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local reply = { state, 0 }
local free = math.max(1, RAMP * tonumber(h[3])) - redis.call('ZCARD', KEYS[2])
for i = 1, math.min(free, tonumber(ARGV[1])) do
  local permit = ARGV[3] .. ':' .. time[1] .. ':' .. time[2] .. ':' .. i
  redis.call('ZADD', KEYS[2], now + tonumber(ARGV[2]), permit)
  reply[#reply + 1] = permit
end
return reply
