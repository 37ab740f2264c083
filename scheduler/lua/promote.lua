-- promote: make due retries ready, take expired locks from their holders, trim old tombstones. Any
-- number of schedulers may run it at any time.
--
-- KEYS  1 stats  2 locks:lookup  3 locks:routing  4 retry  5 dead  6 done
-- ARGV  1 prefix  2 lease (ms)  3 max crashes  4 batch (events of each kind per run)
--       5 dedup window (ms)  6 max tombstones  7 least age of a trimmed tombstone (ms)
-- Returns { ms to the next due time (-1: nothing is due), promoted, expired, trimmed }
-- include: allow_writes_at_maxmemory
-- include: clock
-- include: push_ready
-- include: record_crash
local stats_key = KEYS[1]
local locks_lookup_key = KEYS[2]
local locks_routing_key = KEYS[3]
local retry_key = KEYS[4]
local dead_key = KEYS[5]
local done_key = KEYS[6]
local prefix = ARGV[1]
local lease_ms = tonumber(ARGV[2])
local max_crashes = tonumber(ARGV[3])
local batch = tonumber(ARGV[4])
local dedup_window_ms = tonumber(ARGV[5])
local tombstones_max = tonumber(ARGV[6])
local remember_at_least_ms = tonumber(ARGV[7])

allow_writes_at_maxmemory(stats_key)
local now_ms = clock()

local function first_due(key, max)
  return redis.call('ZRANGEBYSCORE', key, '-inf', now_ms, 'LIMIT', 0, max)
end

-- While Redis was unavailable no holder could extend its lock, and this script did not run either:
-- after a gap of half a lease, expired locks are spared for one lease. Returns the end of it.
local function spare_locks_after_outage()
  local promoted_at, spare_until = unpack(redis.call('HMGET', stats_key,
    'promoted_at', 'spare_until'))
  spare_until = tonumber(spare_until) or 0
  if now_ms - (tonumber(promoted_at) or now_ms) > lease_ms / 2 then
    spare_until = now_ms + lease_ms
    redis.call('HSET', stats_key, 'spare_until', spare_until)
  end
  redis.call('HSET', stats_key, 'promoted_at', now_ms)
  return spare_until
end

-- The drain rate, a moving average over about 5 s; accept computes Retry-After from it.
local function measure_drain_rate()
  local drain_at, drain_done, done, previous_rate = unpack(redis.call('HMGET', stats_key,
    'drain_at', 'drain_done', 'done', 'drain_per_second'))
  local elapsed_ms = now_ms - (tonumber(drain_at) or 0)
  if elapsed_ms < 1000 then
    return
  end
  done, previous_rate = tonumber(done) or 0, tonumber(previous_rate) or 0
  local rate = math.max(0, done - (tonumber(drain_done) or done)) * 1000 / elapsed_ms
  -- After a standstill the first measurement counts whole: there is nothing to average it with.
  local weight = previous_rate > 0 and math.min(1, elapsed_ms / 5000) or 1
  rate = rate * weight + previous_rate * (1 - weight)
  redis.call('HSET', stats_key, 'drain_at', now_ms, 'drain_done', done,
    'drain_per_second', string.format('%.2f', rate))
end

local function promote_retries()
  local promoted = 0
  for _, id in ipairs(first_due(retry_key, batch)) do
    local event_key = prefix .. 'event:' .. id
    local state, lane, source, crashes = unpack(redis.call('HMGET', event_key,
      'state', 'lane', 'source', 'crashes'))
    redis.call('ZREM', retry_key, id)
    if state == 'retry' then
      redis.call('HSET', event_key, 'state', 'ready')
      redis.call('HDEL', event_key, 'next_at')
      push_ready(prefix, lane, source, crashes, id, false)
      promoted = promoted + 1
    else
      redis.call('HINCRBY', stats_key, 'skipped', 1)
    end
  end
  return promoted
end

local function expire_locks(locks_key)
  local expired = 0
  for _, id in ipairs(first_due(locks_key, batch)) do
    redis.call('ZREM', locks_key, id)
    if redis.call('HGET', prefix .. 'event:' .. id, 'state') == 'locked' then
      record_crash(prefix, stats_key, dead_key, now_ms, id, max_crashes)
      expired = expired + 1
    else
      redis.call('HINCRBY', stats_key, 'skipped', 1)
    end
  end
  return expired
end

-- Tombstones beyond the window go, and the oldest ones beyond the maximum. None goes before its
-- least age: until then a captured copy of its request is within the tolerance of its signed time,
-- and accept would take it for a new event.
local function trim_tombstones()
  local function older_than(age_ms, max)
    local until_ms = now_ms - math.max(age_ms, remember_at_least_ms)
    return redis.call('ZRANGEBYSCORE', done_key, '-inf', until_ms, 'LIMIT', 0, max)
  end
  local ids = older_than(dedup_window_ms, batch)
  if #ids == 0 then
    local surplus = redis.call('ZCARD', done_key) - tombstones_max
    if surplus > 0 then
      ids = older_than(0, math.min(surplus, batch))
    end
  end
  for _, id in ipairs(ids) do
    redis.call('ZREM', done_key, id)
    redis.call('DEL', prefix .. 'event:' .. id)
  end
  if #ids > 0 then
    redis.call('HINCRBY', stats_key, 'trimmed', #ids)
  end
  return #ids
end

local function ms_to_next_due(spare_until, trimmed)
  local next_due_ms = -1
  local function consider(at_ms)
    local wait_ms = math.max(0, at_ms - now_ms)
    next_due_ms = next_due_ms < 0 and wait_ms or math.min(next_due_ms, wait_ms)
  end
  local _, first_retry_ms = unpack(redis.call('ZRANGE', retry_key, 0, 0, 'WITHSCORES'))
  if first_retry_ms then
    consider(tonumber(first_retry_ms))
  end
  for _, locks_key in ipairs({ locks_lookup_key, locks_routing_key }) do
    local _, first_expiry_ms = unpack(redis.call('ZRANGE', locks_key, 0, 0, 'WITHSCORES'))
    if first_expiry_ms then
      consider(math.max(tonumber(first_expiry_ms), spare_until))
    end
  end
  if trimmed == batch then
    consider(now_ms) -- there may be more
  end
  return math.ceil(next_due_ms)
end

local spare_until = spare_locks_after_outage()
measure_drain_rate()
local promoted = promote_retries()
local expired = 0
if now_ms >= spare_until then
  expired = expire_locks(locks_lookup_key) + expire_locks(locks_routing_key)
end
local trimmed = trim_tombstones()
return { ms_to_next_due(spare_until, trimmed), promoted, expired, trimmed }
