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
-- include: join_round_robin
-- include: wake
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

-- A number as a string: Redis prints a Lua number as a float, which takes longer.
local function whole(number)
  return string.format('%d', number)
end

local now_ms = clock()
local now = whole(now_ms)
local backlog, backlog_bytes, drain_per_second, accepted, duplicates, signed = unpack(
  redis.call('HMGET', stats_key, 'backlog', 'backlog_bytes', 'drain_per_second', 'accepted',
    'duplicates', 'secret:' .. secret))
backlog, backlog_bytes = tonumber(backlog) or 0, tonumber(backlog_bytes) or 0

-- Every authentic event shows that its secret is in use, whatever its code. All counters that were
-- read are written with one command: a HINCRBY each would cost more than the hash of the event.
local function count(...)
  redis.call('HSET', stats_key, 'secret:' .. secret, whole((tonumber(signed) or 0) + 1),
    'seen:' .. secret, now, ...)
end

local known_digest = redis.call('HGET', event_key, 'digest')
if known_digest then
  redis.call('PERSIST', stats_key) -- allows writes: duplicates are answered at maxmemory too
  count('duplicates', whole((tonumber(duplicates) or 0) + 1))
  if known_digest ~= digest then
    redis.call('HINCRBY', stats_key, 'conflicting', 1)
    return { 'conflicting', 0, 0 }
  end
  return { 'duplicate', 0, 0 }
end

local dead_full = redis.call('ZCARD', dead_key) >= max_dead
if dead_full or backlog >= max_events or backlog_bytes + #body > max_bytes then
  redis.call('PERSIST', stats_key)
  redis.call('HINCRBY', stats_key, 'refused_full', 1)
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
  local left, at = unpack(redis.call('HMGET', quota_key, 'tokens', 'at'))
  local elapsed_ms = math.max(0, now_ms - (tonumber(at) or now_ms))
  tokens = math.min(quota_burst,
    (tonumber(left) or quota_burst) + elapsed_ms * quota_per_second / 1000)
  if tokens < 1 then
    redis.call('PERSIST', stats_key)
    redis.call('HINCRBY', stats_key, 'limited', 1)
    redis.call('HINCRBY', stats_key, 'limited:' .. source, 1)
    count()
    return { 'limited', backlog, math.ceil((1 - tokens) * 1000 / quota_per_second) }
  end
end

redis.call('SET', body_key, body)
redis.call('HSET', event_key, 'state', 'ready', 'lane', 'lookup', 'source', source,
  'received_at', now, 'live_since', now, 'attempts', '0', 'crashes', '0', 'digest', digest)
redis.call('LPUSH', ready_key, id)
join_round_robin(turn_key, source)
count('accepted', whole((tonumber(accepted) or 0) + 1), 'backlog', whole(backlog + 1),
  'backlog_bytes', whole(backlog_bytes + #body))
if tokens then
  redis.call('HSET', quota_key, 'tokens', string.format('%.3f', tokens - 1), 'at', now_ms)
end
wake(wake_key, WAKE_MAX)
return { 'accepted', backlog + 1, 0 }
