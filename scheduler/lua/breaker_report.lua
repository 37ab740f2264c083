-- breaker_report: how routing calls went. Closed, the breaker opens at a share of failed calls over
-- the last BREAKER_WINDOW_SECONDS. Half open, it judges by probes alone.
--
-- KEYS  1 breaker  2 probes
-- ARGV  1 calls that succeeded  2 calls that failed (both without a permit)
--       3 fewest calls to judge by  4 share of failed calls that opens it (0 to 1)
--       5 first pause (ms)  6 longest pause (ms)
--       7.. permit, verdict (good | bad | unused), permit, verdict …
-- Returns { state, ms until a probe is allowed }
-- constant: BREAKER_WINDOW_SECONDS
-- constant: BREAKER_CLOSING_PROBES
-- include: allow_writes_at_maxmemory
-- include: clock
-- include: slice
local breaker_key = KEYS[1]
local probes_key = KEYS[2]
local succeeded = tonumber(ARGV[1])
local failed = tonumber(ARGV[2])
local min_calls = tonumber(ARGV[3])
local failure_ratio = tonumber(ARGV[4])
local first_pause_ms = tonumber(ARGV[5])
local longest_pause_ms = tonumber(ARGV[6])
local verdicts = slice(ARGV, 7)

allow_writes_at_maxmemory(breaker_key)
local now_ms = clock()
local state, open_until, last_pause_ms, good, bad = unpack(redis.call('HMGET', breaker_key,
  'state', 'until', 'pause', 'good', 'bad'))
state = state or 'closed'
open_until = tonumber(open_until)
good, bad = tonumber(good) or 0, tonumber(bad) or 0

local function open(pause_ms)
  state = 'open'
  open_until = now_ms + pause_ms
  redis.call('DEL', breaker_key, probes_key)
  redis.call('HSET', breaker_key, 'state', state, 'until', open_until, 'pause', pause_ms,
    'opened_at', now_ms)
end

local function close()
  state = 'closed'
  redis.call('DEL', breaker_key, probes_key)
end

-- One bucket of fields for each second of the window, reused after it.
local function count_calls()
  local second = math.floor(now_ms / 1000)
  local bucket = second % BREAKER_WINDOW_SECONDS
  if tonumber(redis.call('HGET', breaker_key, 'at:' .. bucket)) ~= second then
    redis.call('HSET', breaker_key, 'at:' .. bucket, second, 'ok:' .. bucket, 0,
      'failed:' .. bucket, 0)
  end
  redis.call('HINCRBY', breaker_key, 'ok:' .. bucket, succeeded)
  redis.call('HINCRBY', breaker_key, 'failed:' .. bucket, failed)
  local total, total_failed = 0, 0
  for i = 0, BREAKER_WINDOW_SECONDS - 1 do
    local at, ok, not_ok = unpack(redis.call('HMGET', breaker_key, 'at:' .. i, 'ok:' .. i,
      'failed:' .. i))
    if at and second - tonumber(at) < BREAKER_WINDOW_SECONDS then
      total = total + tonumber(ok) + tonumber(not_ok)
      total_failed = total_failed + tonumber(not_ok)
    end
  end
  return total, total_failed
end

if state == 'closed' and succeeded + failed > 0 then
  local total, total_failed = count_calls()
  if total >= min_calls and total_failed >= failure_ratio * total then
    open(first_pause_ms)
  end
end

for i = 1, #verdicts, 2 do
  local permit, verdict = verdicts[i], verdicts[i + 1]
  -- A permit that has expired, or is from an earlier half-open period, does not count.
  if redis.call('ZREM', probes_key, permit) == 1 and state == 'half_open' then
    if verdict == 'good' then
      good = good + 1
    elseif verdict == 'bad' then
      bad = bad + 1
    end
  end
end
if state == 'half_open' then
  if bad > good then
    open(math.min(longest_pause_ms, 2 * (tonumber(last_pause_ms) or first_pause_ms)))
  elseif good >= BREAKER_CLOSING_PROBES then
    close()
  else
    redis.call('HSET', breaker_key, 'good', good, 'bad', bad)
  end
end
return { state, state == 'open' and math.max(0, open_until - now_ms) or 0 }
