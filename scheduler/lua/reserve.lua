-- reserve: lock up to n ready events of a lane for one owner, round-robin over the sources.
--
-- KEYS  1 stats  2 turn:<lane>  3 wake:<lane>  4 locks:<lane>  5 alone:<lane>  6 dead
-- ARGV  1 prefix  2 lane  3 owner  4 boot  5 lease (ms)  6 max crashes  7 n
--       8 events of the quarantine that the caller may take (0 or 1: a process holds one at a time)
--       9 events that the caller holds
-- Returns { { id, gen, source, attempts, waits, crashes, received_at, live_since, route,
--             body } … }
--
-- A popped id whose state does not fit is in a second list after a manual change: it is skipped and
-- counted, the other list still has it. An event without a body cannot be processed: it is
-- dead-lettered.
--
-- An event of the quarantine whose next crash would dead-letter it as poison is exclusive: only a
-- process that holds nothing else takes it, so that no other event's crash can be its last one. A
-- process that meets one while it holds events takes nothing more until it holds none; one process
-- at a time does so, the others go on.
-- constant: QUARANTINE
-- constant: EXCLUSIVE_WAIT_MS
-- constant: WAKE_MAX
-- include: allow_writes_at_maxmemory
-- include: clock
-- include: push_ready
-- include: dead_letter
-- include: wake
local stats_key = KEYS[1]
local turn_key = KEYS[2]
local wake_key = KEYS[3]
local locks_key = KEYS[4]
local exclusive_key = KEYS[5]
local dead_key = KEYS[6]
local prefix = ARGV[1]
local lane = ARGV[2]
local owner = ARGV[3]
local boot = ARGV[4]
local lease_ms = tonumber(ARGV[5])
local max_crashes = tonumber(ARGV[6])
local wanted = tonumber(ARGV[7])
local quarantine_allowance = tonumber(ARGV[8])
local held = tonumber(ARGV[9])

allow_writes_at_maxmemory(stats_key)
local now_ms, now_micros = clock()
local ready_prefix = prefix .. 'ready:' .. lane .. ':'
local may_take_quarantined = quarantine_allowance > 0
local taken = {}
local idle_sources = 0 -- in a row, that had nothing for this caller
local passed_over = false -- the quarantine, which then keeps its place

-- Returns whether the event was locked.
local function lock(id)
  local event_key = prefix .. 'event:' .. id
  local body = redis.call('GET', prefix .. 'body:' .. id)
  local state, event_lane, gen, source, attempts, waits, crashes, received_at, live_since, route =
    unpack(redis.call('HMGET', event_key, 'state', 'lane', 'gen', 'source', 'attempts', 'waits',
      'crashes', 'received_at', 'live_since', 'route'))
  if state ~= 'ready' or not event_lane or not source then
    redis.call('HINCRBY', stats_key, 'skipped', 1)
  elseif event_lane ~= lane then
    redis.call('HINCRBY', stats_key, 'skipped', 1)
    push_ready(prefix, event_lane, source, crashes, id, false)
  elseif not body then
    dead_letter(prefix, stats_key, dead_key, now_ms, id, 'body_missing')
  else
    -- Always rises, also when the clock was set back. %.0f: Lua prints large numbers as 1.79e+15.
    gen = string.format('%.0f', math.max(now_micros, (tonumber(gen) or 0) + 1))
    redis.call('HSET', event_key, 'state', 'locked', 'gen', gen, 'owner', owner, 'boot', boot)
    redis.call('ZADD', locks_key, now_ms + lease_ms, id)
    taken[#taken + 1] = { id, gen, source, attempts or '0', waits or '0', crashes or '0',
      received_at, live_since, route or '', body }
    return true
  end
  return false
end

-- Returns whether the next event of the source was locked.
local function serve(source)
  local ready_key = ready_prefix .. source
  local id = redis.call('RPOP', ready_key)
  local locked = false
  if id then
    idle_sources = 0
    locked = lock(id)
  end
  if redis.call('EXISTS', ready_key) == 0 then
    redis.call('LREM', turn_key, 0, source)
  end
  return locked
end

local function next_is_exclusive()
  local id = redis.call('LINDEX', ready_prefix .. QUARANTINE, -1)
  local crashes = id and redis.call('HGET', prefix .. 'event:' .. id, 'crashes')
  return (tonumber(crashes) or 0) >= max_crashes - 1
end

-- Returns whether this process is the one that takes nothing more until it holds nothing.
local function waits_for_exclusive()
  local waiting_owner = redis.call('GET', exclusive_key)
  if waiting_owner and waiting_owner ~= owner then
    return false
  end
  redis.call('SET', exclusive_key, owner, 'PX', EXCLUSIVE_WAIT_MS)
  return true
end

-- Returns whether the caller must take nothing more.
local function serve_quarantine()
  if quarantine_allowance < 1 then
    idle_sources = idle_sources + 1
    passed_over = not may_take_quarantined
    return false
  end
  local exclusive = next_is_exclusive()
  if exclusive and held + #taken > 0 then
    idle_sources = idle_sources + 1
    passed_over = true
    return waits_for_exclusive()
  end
  if not serve(QUARANTINE) then
    return false
  end
  quarantine_allowance = quarantine_allowance - 1
  if exclusive then
    redis.call('DEL', exclusive_key)
  end
  return exclusive
end

local finished = false
while not finished and #taken < wanted and idle_sources < redis.call('LLEN', turn_key) do
  local source = redis.call('LMOVE', turn_key, turn_key, 'LEFT', 'RIGHT')
  if source == QUARANTINE then
    finished = serve_quarantine()
  else
    serve(source)
  end
end

if passed_over then
  -- Otherwise callers that may not take from the quarantine could keep it from ever being served.
  redis.call('LREM', turn_key, 0, QUARANTINE)
  redis.call('LPUSH', turn_key, QUARANTINE)
end
if #taken > 0 then
  redis.call('HINCRBY', stats_key, 'reserved', #taken)
  -- Each process that took something wakes the next while events remain. One that took nothing does
  -- not, or an event that must wait for its exclusive process would keep the others looping.
  if redis.call('LLEN', turn_key) > 0 then
    wake(wake_key, WAKE_MAX)
  end
end
return taken
