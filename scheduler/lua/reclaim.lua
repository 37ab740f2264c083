-- reclaim: make ready, at once, what is locked under this owner's name but not held by it.
--   Locked by another boot: the previous process of this name held it; that counts as a crash. The
--   caller has made sure that no other process of its name is running.
--   Locked by this boot, but not among the ids that the caller holds: the reply of a reserve was
--   lost. No work was begun, so it is no crash.
--
-- KEYS  1 stats  2 locks:<lane>  3 dead
-- ARGV  1 prefix  2 owner  3 boot  4 max crashes  5.. ids that the caller holds
-- Returns the number of events reclaimed
-- include: allow_writes_at_maxmemory
-- include: clock
-- include: push_ready
-- include: record_crash
-- include: slice
local stats_key = KEYS[1]
local locks_key = KEYS[2]
local dead_key = KEYS[3]
local prefix = ARGV[1]
local owner = ARGV[2]
local boot = ARGV[3]
local max_crashes = tonumber(ARGV[4])
local held_ids = slice(ARGV, 5)

allow_writes_at_maxmemory(stats_key)
local now_ms = clock()
local is_held = {}
for _, id in ipairs(held_ids) do
  is_held[id] = true
end
local reclaimed = 0
-- All locks of the lane: no more than all workers have slots.
for _, id in ipairs(redis.call('ZRANGE', locks_key, 0, -1)) do
  local event_key = prefix .. 'event:' .. id
  local locked_by, locked_boot, state, lane, source, crashes = unpack(redis.call('HMGET', event_key,
    'owner', 'boot', 'state', 'lane', 'source', 'crashes'))
  local same_boot = locked_boot == boot
  if locked_by == owner and state == 'locked' and not (same_boot and is_held[id]) then
    redis.call('ZREM', locks_key, id)
    if same_boot then
      redis.call('HSET', event_key, 'state', 'ready')
      push_ready(prefix, lane, source, crashes, id, true)
    else
      record_crash(prefix, stats_key, dead_key, now_ms, id, max_crashes)
    end
    reclaimed = reclaimed + 1
  end
end
return reclaimed
