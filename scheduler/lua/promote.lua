-- promote: what is due becomes ready; locks whose deadline has passed are taken from their holders;
-- old tombstones go. Any number of schedulers may run it at any time.
--
-- KEYS  1 wake:scheduler  2 retry  3 locks:lookup  4 locks:routing  5 done  6 dead  7 stats
-- ARGV  1 prefix  2 batch  3 lease (ms)  4 max crashes  5 dedup window (ms)  6 tombstones max
--       7 replay window (ms)
-- Returns { ms to the next due time (-1: none), promoted, expired, trimmed }
--
-- While Redis was away nobody could extend a lock, and nobody ran this script either: after a gap
-- of half a lease, expired locks are spared for one lease, in which living holders report.
-- include: unrefusable
-- include: clock
-- include: push
-- include: dead
-- include: crashed
local prefix, batch, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local marks = redis.call('HMGET', KEYS[7], 'promoted_at', 'spare_until', 'drain_at', 'drain_done',
  'done', 'drain_per_second')
local promoted_at, spare_until = tonumber(marks[1]) or now, tonumber(marks[2]) or 0
if now - promoted_at > lease / 2 then
  spare_until = now + lease
  redis.call('HSET', KEYS[7], 'spare_until', spare_until)
end
redis.call('HSET', KEYS[7], 'promoted_at', now)

-- The drain rate (a moving average over about 5 s) is what Retry-After is computed from.
local since = now - (tonumber(marks[3]) or 0)
if since >= 1000 then
  local done = tonumber(marks[5]) or 0
  local rate = math.max(0, done - (tonumber(marks[4]) or done)) * 1000 / since
  local before = tonumber(marks[6]) or 0
  -- From a standstill the first measured second counts whole: there is no past to smooth it with.
  local weight = before > 0 and math.min(1, since / 5000) or 1
  rate = rate * weight + before * (1 - weight)
  redis.call('HSET', KEYS[7], 'drain_at', now, 'drain_done', done,
    'drain_per_second', string.format('%.2f', rate))
end

local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, batch)
local promoted = 0
for _, id in ipairs(due) do
  local event = prefix .. 'event:' .. id
  local h = redis.call('HMGET', event, 'state', 'lane', 'source', 'crashes')
  redis.call('ZREM', KEYS[2], id)
  if h[1] == 'retry' then
    redis.call('HSET', event, 'state', 'ready')
    redis.call('HDEL', event, 'next_at')
    push(prefix, h[2], h[3], h[4], id, false)
    promoted = promoted + 1
  else
    redis.call('HINCRBY', KEYS[7], 'skipped', 1)
  end
end

local expired = 0
if now >= spare_until then
  for _, locks in ipairs({ KEYS[3], KEYS[4] }) do
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', locks, '-inf', now, 'LIMIT', 0, batch)) do
      redis.call('ZREM', locks, id)
      if redis.call('HGET', prefix .. 'event:' .. id, 'state') == 'locked' then
        crashed(prefix, KEYS[6], KEYS[7], now, id, tonumber(ARGV[4]))
        expired = expired + 1
      else
        redis.call('HINCRBY', KEYS[7], 'skipped', 1)
      end
    end
  end
end

-- However many there are, none goes while a captured copy of its request could still be within the
-- tolerance of its signed time: the edge would accept it as new.
local guarded = tonumber(ARGV[7])
local function older(than, most)
  return redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', now - math.max(than, guarded), 'LIMIT', 0, most)
end
local old = older(tonumber(ARGV[5]), batch)
if #old == 0 then
  local beyond = redis.call('ZCARD', KEYS[5]) - tonumber(ARGV[6])
  if beyond > 0 then
    old = older(0, math.min(beyond, batch))
  end
end
for _, id in ipairs(old) do
  redis.call('ZREM', KEYS[5], id)
  redis.call('DEL', prefix .. 'event:' .. id)
end
if #old > 0 then
  redis.call('HINCRBY', KEYS[7], 'trimmed', #old)
end

local next_due = -1
local function consider(at)
  local wait = math.max(0, at - now)
  next_due = next_due < 0 and wait or math.min(next_due, wait)
end
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if first[2] then
  consider(tonumber(first[2]))
end
for _, locks in ipairs({ KEYS[3], KEYS[4] }) do
  first = redis.call('ZRANGE', locks, 0, 0, 'WITHSCORES')
  if first[2] then
    consider(math.max(tonumber(first[2]), spare_until))
  end
end
if #old == batch then
  consider(now)
end
return { math.ceil(next_due), promoted, expired, #old }
