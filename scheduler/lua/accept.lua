-- accept: make an event durable, once. The only verb that is refused at maxmemory, and then before
-- its first effect: its first write is the body.
--
-- KEYS  1 event  2 body  3 ready:lookup:<source>  4 turn:lookup  5 wake:lookup  6 stats
--       7 dead   8 quota:<source>
-- ARGV  1 id  2 source  3 body  4 digest  5 label of the secret that matched
--       6 max events  7 max bytes  8 max dead  9 quota per second (0: none)  10 quota burst
-- Returns { code, backlog, wait }; wait is the ms after which another try may succeed (0: unknown,
-- for nothing drains, or an operator must look at the dead letters first)
--   accepted | duplicate | conflicting (a duplicate whose body differs) | limited (over the quota)
--   | full (the backlog or the dead letters are at their cap)
local WAKE_MAX = 8
-- include: clock
-- Redis prints a number as a float, which takes longer than this.
local function whole(number)
  return string.format('%d', number)
end
local stamp = whole(now)
local secret = ARGV[2] .. ':' .. ARGV[5]
local stats = redis.call('HMGET', KEYS[6], 'backlog', 'backlog_bytes', 'drain_per_second',
  'accepted', 'duplicates', 'secret:' .. secret)
local backlog = tonumber(stats[1]) or 0
local bytes = tonumber(stats[2]) or 0

-- Every authentic event tells that its secret is still in use, whatever becomes of it. Counters
-- that were just read are written in one command: a HINCRBY each would cost more than the hash of
-- the event.
local function count(...)
  redis.call('HSET', KEYS[6], 'secret:' .. secret, whole((tonumber(stats[6]) or 0) + 1),
    'seen:' .. secret, stamp, ...)
end

local known = redis.call('HGET', KEYS[1], 'digest')
if known then
  redis.call('PERSIST', KEYS[6]) -- never refused, so duplicates are answered at maxmemory too
  count('duplicates', whole((tonumber(stats[5]) or 0) + 1))
  if known ~= ARGV[4] then
    redis.call('HINCRBY', KEYS[6], 'conflicting', 1)
    return { 'conflicting', 0, 0 }
  end
  return { 'duplicate', 0, 0 }
end

local dead_full = redis.call('ZCARD', KEYS[7]) >= tonumber(ARGV[8])
if dead_full or backlog >= tonumber(ARGV[6]) or bytes + #ARGV[3] > tonumber(ARGV[7]) then
  redis.call('PERSIST', KEYS[6])
  redis.call('HINCRBY', KEYS[6], 'refused_full', 1)
  count()
  local rate = tonumber(stats[3]) or 0
  if dead_full or rate <= 0 then
    return { 'full', backlog, 0 }
  end
  -- Time to drain a twentieth of the backlog: room for a burst, not just for the next event.
  return { 'full', backlog, math.ceil(backlog * 50 / rate) }
end

local rate, tokens = tonumber(ARGV[9]), nil
if rate > 0 then
  local burst = tonumber(ARGV[10])
  local bucket = redis.call('HMGET', KEYS[8], 'tokens', 'at')
  local elapsed = math.max(0, now - (tonumber(bucket[2]) or now))
  tokens = math.min(burst, (tonumber(bucket[1]) or burst) + elapsed * rate / 1000)
  if tokens < 1 then
    redis.call('PERSIST', KEYS[6])
    redis.call('HINCRBY', KEYS[6], 'limited', 1)
    redis.call('HINCRBY', KEYS[6], 'limited:' .. ARGV[2], 1)
    count()
    return { 'limited', backlog, math.ceil((1 - tokens) * 1000 / rate) }
  end
end

redis.call('SET', KEYS[2], ARGV[3])
redis.call('HSET', KEYS[1], 'state', 'ready', 'lane', 'lookup', 'source', ARGV[2],
  'received_at', stamp, 'live_since', stamp, 'attempts', '0', 'crashes', '0', 'digest', ARGV[4])
redis.call('LPUSH', KEYS[3], ARGV[1])
if not redis.call('LPOS', KEYS[4], ARGV[2]) then
  redis.call('RPUSH', KEYS[4], ARGV[2])
end
count('accepted', whole((tonumber(stats[4]) or 0) + 1), 'backlog', whole(backlog + 1),
  'backlog_bytes', whole(bytes + #ARGV[3]))
if tokens then
  redis.call('HSET', KEYS[8], 'tokens', string.format('%.3f', tokens - 1), 'at', now)
end
if redis.call('LLEN', KEYS[5]) < WAKE_MAX then
  redis.call('LPUSH', KEYS[5], '1')
end
return { 'accepted', backlog + 1, 0 }
