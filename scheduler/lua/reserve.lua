-- reserve: lock up to n ready events of a lane for one owner, over the sources in turn.
--
-- KEYS  1 turn:<lane>  2 locks:<lane>  3 wake:<lane>  4 stats  5 dead  6 alone:<lane>
-- ARGV  1 prefix  2 lane  3 n  4 owner  5 boot  6 lease (ms)
--       7 suspects the caller may take (0 or 1: a process holds one at a time)
--       8 events that the caller holds  9 max crashes
-- Returns { { id, gen, source, attempts, waits, crashes, received_at, live_since, route, body } … }
--
-- A popped id whose state does not fit lies in a second list by somebody's hand: it is skipped and
-- counted, the other list still has it. One whose body is gone cannot be processed: it is dead.
--
-- A suspect whose next crash would make it dead as poison is taken alone, by a process that holds
-- nothing else, so that it never dies of what a neighbour does. Where no process is ever empty, the
-- first that meets it empties itself: it is given nothing until it holds nothing.
-- include: unrefusable
-- include: clock
-- include: push
-- include: dead
local prefix, lane, wanted = ARGV[1], ARGV[2], tonumber(ARGV[3])
local suspects = tonumber(ARGV[7])
local deadline = now + tonumber(ARGV[6])
local micros = time[1] * 1000000 + time[2]
local taken = {}

local function take(id)
  local event = prefix .. 'event:' .. id
  local body = redis.call('GET', prefix .. 'body:' .. id)
  local h = redis.call('HMGET', event, 'state', 'lane', 'gen', 'source', 'attempts', 'waits',
    'crashes', 'received_at', 'live_since', 'route')
  if h[1] ~= 'ready' or not h[2] or not h[4] then
    redis.call('HINCRBY', KEYS[4], 'skipped', 1)
  elseif h[2] ~= lane then
    redis.call('HINCRBY', KEYS[4], 'skipped', 1)
    push(prefix, h[2], h[4], h[7], id, false)
  elseif not body then
    entomb(prefix, KEYS[5], KEYS[4], now, id, 'body_missing')
  else
    local gen = string.format('%.0f', math.max(micros, (tonumber(h[3]) or 0) + 1))
    redis.call('HSET', event, 'state', 'locked', 'gen', gen, 'owner', ARGV[4], 'boot', ARGV[5])
    redis.call('ZADD', KEYS[2], deadline, id)
    taken[#taken + 1] = { id, gen, h[4], h[5] or '0', h[6] or '0', h[7] or '0', h[8], h[9],
      h[10] or '', body }
    return true
  end
end

local function next_would_die(ready)
  local id = redis.call('LINDEX', ready, -1)
  local crashes = id and redis.call('HGET', prefix .. 'event:' .. id, 'crashes')
  return (tonumber(crashes) or 0) >= tonumber(ARGV[9]) - 1
end

local EMPTYING = 5000 -- ms after which a process that empties itself has to say so again
local function empties_itself()
  local who = redis.call('GET', KEYS[6])
  if who and who ~= ARGV[4] then
    return false
  end
  redis.call('SET', KEYS[6], ARGV[4], 'PX', EMPTYING)
  return true
end

local idle = 0 -- sources in a row that had nothing for this caller
local barred, passed_over = suspects < 1, false
while #taken < wanted and idle < redis.call('LLEN', KEYS[1]) do
  local source = redis.call('LMOVE', KEYS[1], KEYS[1], 'LEFT', 'RIGHT')
  local ready = prefix .. 'ready:' .. lane .. ':' .. source
  local suspect = source == '!suspects'
  local alone = suspect and suspects > 0 and next_would_die(ready)
  if suspect and suspects < 1 then
    idle = idle + 1
    passed_over = barred
  elseif alone and tonumber(ARGV[8]) + #taken > 0 then
    idle = idle + 1
    passed_over = true
    if empties_itself() then
      break
    end
  else
    local id = redis.call('RPOP', ready)
    local took = id and take(id)
    if id then
      idle = 0
    end
    if took and suspect then
      suspects = suspects - 1
    end
    if redis.call('EXISTS', ready) == 0 then
      redis.call('LREM', KEYS[1], 0, source)
    end
    if took and alone then
      redis.call('DEL', KEYS[6])
      break
    end
  end
end

if passed_over then
  -- Whoever may take none does not cost the suspects their turn, or they might never have it.
  redis.call('LREM', KEYS[1], 0, '!suspects')
  redis.call('LPUSH', KEYS[1], '!suspects')
end
if #taken > 0 then
  redis.call('HINCRBY', KEYS[4], 'reserved', #taken)
  -- A chain: whoever took something wakes the next while anything remains. Nobody who took nothing
  -- does, so that a suspect that must wait keeps no process spinning.
  if redis.call('LLEN', KEYS[1]) > 0 and redis.call('LLEN', KEYS[3]) < WAKE_MAX then
    redis.call('LPUSH', KEYS[3], '1')
  end
end
return taken
