-- breaker_report: how calls went. Opens at a share of failures over the last 10 s; half open, it
-- judges by probes alone.
--
-- KEYS  1 breaker  2 probes
-- ARGV  1 calls that went well  2 calls that failed (both without a permit)
--       3 smallest number of calls to judge by  4 share of failures that opens (0 to 1)
--       5 first pause (ms)  6 longest pause (ms)
--       7.. permit, verdict (good | bad | unused), permit, verdict …
-- Returns { state, ms until the breaker lets anybody try }
-- include: unrefusable
-- include: clock
local WINDOW = 10 -- seconds, a bucket each
local CLOSING = 10 -- probes that must go well before it closes
local h = redis.call('HMGET', KEYS[1], 'state', 'until', 'pause', 'good', 'bad')
local state = h[1] or 'closed'
local function open(pause)
  state = 'open'
  h[2] = now + pause
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[1], 'state', 'open', 'until', h[2], 'pause', pause, 'opened_at', now)
end

if state == 'closed' and tonumber(ARGV[1]) + tonumber(ARGV[2]) > 0 then
  local second = tonumber(time[1])
  local slot = second % WINDOW
  if redis.call('HGET', KEYS[1], 'at:' .. slot) ~= time[1] then
    redis.call('HSET', KEYS[1], 'at:' .. slot, time[1], 'ok:' .. slot, 0, 'failed:' .. slot, 0)
  end
  redis.call('HINCRBY', KEYS[1], 'ok:' .. slot, ARGV[1])
  redis.call('HINCRBY', KEYS[1], 'failed:' .. slot, ARGV[2])
  local ok, failed = 0, 0
  for i = 0, WINDOW - 1 do
    local b = redis.call('HMGET', KEYS[1], 'at:' .. i, 'ok:' .. i, 'failed:' .. i)
    if b[1] and second - tonumber(b[1]) < WINDOW then
      ok, failed = ok + tonumber(b[2]), failed + tonumber(b[3])
    end
  end
  if ok + failed >= tonumber(ARGV[3]) and failed >= tonumber(ARGV[4]) * (ok + failed) then
    open(tonumber(ARGV[5]))
  end
end

local good, bad = tonumber(h[4]) or 0, tonumber(h[5]) or 0
for i = 7, #ARGV, 2 do
  -- A permit that has ended, or is of an earlier half-open time, has no say.
  if redis.call('ZREM', KEYS[2], ARGV[i]) == 1 and state == 'half_open' then
    if ARGV[i + 1] == 'good' then
      good = good + 1
    elseif ARGV[i + 1] == 'bad' then
      bad = bad + 1
    end
  end
end
if state == 'half_open' then
  if bad > good then
    open(math.min(tonumber(ARGV[6]), 2 * (tonumber(h[3]) or tonumber(ARGV[5]))))
  elseif good >= CLOSING then
    state = 'closed'
    redis.call('DEL', KEYS[1], KEYS[2])
  else
    redis.call('HSET', KEYS[1], 'good', good, 'bad', bad)
  end
end
return { state, state == 'open' and math.max(0, h[2] - now) or 0 }
