-- accept: make an event durable, once. The only verb that is refused at maxmemory, and then before
-- its first effect: its first write is the body.
--
-- KEYS  1 stats  2 event  3 body  4 ready:lookup:<source>  5 turn:lookup  6 wake:lookup  7 dead
--       8 quota:<source>
-- ARGV  1 id  2 source  3 body  4 digest  5 label of the secret that matched
--       6 max events  7 max bytes  8 max dead  9 quota per second (0: none)  10 quota burst
-- Returns { code, backlog, ms after which another request may succeed (0: unknown, because nothing
--           drains or an operator must handle the dead letters first) }
--   accepted | duplicate | conflicting (a duplicate with another body) | limited (over the quota)
--   | full (the backlog or the dead letters are at their cap)
-- constant: WAKE_MAX
-- include: clock
local stats_key = KEYS[1]
local event_key = KEYS[2]
local body_key = KEYS[3]
local ready_key = KEYS[4]
local turn_key = KEYS[5]
local wake_key = KEYS[6]
local dead_key = KEYS[7]
local quota_key = KEYS[8]
local id = ARGV[1]
local source = ARGV[2]
local body = ARGV[3]
local digest = ARGV[4]
local secret = source .. ':' .. ARGV[5]
local max_events = tonumber(ARGV[6])
local max_bytes = tonumber(ARGV[7])
local max_dead = tonumber(ARGV[8])
local quota_per_second = tonumber(ARGV[9])
local quota_burst = tonumber(ARGV[10])

local rcall = redis.call
local format = string.format -- '%d': Redis prints a Lua number as a float, which takes longer

local now_ms = clock()
local now = format('%d', now_ms)
local secret_field = 'secret:' .. secret
local backlog, backlog_bytes, drain_per_second, accepted, duplicates, signed = unpack(
  rcall('HMGET', stats_key, 'backlog', 'backlog_bytes', 'drain_per_second', 'accepted',
    'duplicates', secret_field))
backlog, backlog_bytes = tonumber(backlog) or 0, tonumber(backlog_bytes) or 0

-- Every authentic event shows that its secret is in use, whatever its code. All counters that were
-- read are written with one command: a HINCRBY each would cost more than the hash of the event.
local function count(...)
  rcall('HSET', stats_key, secret_field, format('%d', (tonumber(signed) or 0) + 1),
    'seen:' .. secret, now, ...)
end

local known_digest = rcall('HGET', event_key, 'digest')
if known_digest then
  rcall('PERSIST', stats_key) -- allows writes: duplicates are answered at maxmemory too
  count('duplicates', format('%d', (tonumber(duplicates) or 0) + 1))
  if known_digest ~= digest then
    rcall('HINCRBY', stats_key, 'conflicting', 1)
    return { 'conflicting', 0, 0 }
  end
  return { 'duplicate', 0, 0 }
end

local dead_full = rcall('ZCARD', dead_key) >= max_dead
if dead_full or backlog >= max_events or backlog_bytes + #body > max_bytes then
  rcall('PERSIST', stats_key)
  rcall('HINCRBY', stats_key, 'refused_full', 1)
  count()
  local drain = tonumber(drain_per_second) or 0
  if dead_full or drain <= 0 then
    return { 'full', backlog, 0 }
  end
  -- Time to drain a twentieth of the backlog: room for a burst, not just for the next event.
  return { 'full', backlog, math.ceil(backlog * 50 / drain) }
end

local tokens
if quota_per_second > 0 then
  local left, at = unpack(rcall('HMGET', quota_key, 'tokens', 'at'))
  local elapsed_ms = math.max(0, now_ms - (tonumber(at) or now_ms))
  tokens = math.min(quota_burst,
    (tonumber(left) or quota_burst) + elapsed_ms * quota_per_second / 1000)
  if tokens < 1 then
    rcall('PERSIST', stats_key)
    rcall('HINCRBY', stats_key, 'limited', 1)
    rcall('HINCRBY', stats_key, 'limited:' .. source, 1)
    count()
    return { 'limited', backlog, math.ceil((1 - tokens) * 1000 / quota_per_second) }
  end
end

rcall('SET', body_key, body)
rcall('HSET', event_key, 'state', 'ready', 'lane', 'lookup', 'source', source,
  'received_at', now, 'live_since', now, 'attempts', '0', 'crashes', '0', 'digest', digest)
-- As push_ready, but without its functions: to create and call them takes 3 % of the script.
rcall('LPUSH', ready_key, id)
if not rcall('LPOS', turn_key, source) then
  rcall('RPUSH', turn_key, source)
end
if rcall('LLEN', wake_key) < WAKE_MAX then
  rcall('LPUSH', wake_key, '1')
end
count('accepted', format('%d', (tonumber(accepted) or 0) + 1), 'backlog', format('%d', backlog + 1),
  'backlog_bytes', format('%d', backlog_bytes + #body))
if tokens then
  rcall('HSET', quota_key, 'tokens', format('%.3f', tokens - 1), 'at', now_ms)
end
return { 'accepted', backlog + 1, 0 }
