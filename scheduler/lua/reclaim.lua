-- reclaim: what is locked under this owner's name and in nobody's hands becomes ready, at once.
--   Of another boot: a process that was started anew takes back what its predecessor held; that
--   counts as a crash. The caller has made sure that no living process has its name.
--   Of this boot, but not among the ids that the caller holds: a reserve whose answer was lost on
--   the way. Nobody worked on it, so it is no crash.
--
-- KEYS  1 locks:<lane>  2 dead  3 stats
-- ARGV  1 prefix  2 owner  3 boot  4 max crashes  5.. ids that the caller holds
-- Returns the number of events reclaimed. The set is as small as all workers' slots together.
-- include: unrefusable
-- include: clock
-- include: push
-- include: dead
-- include: crashed
local held = {}
for i = 5, #ARGV do
  held[ARGV[i]] = true
end
local reclaimed = 0
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local event = ARGV[1] .. 'event:' .. id
  local h = redis.call('HMGET', event, 'owner', 'boot', 'state', 'lane', 'source', 'crashes')
  if h[1] == ARGV[2] and h[3] == 'locked' and not (h[2] == ARGV[3] and held[id]) then
    redis.call('ZREM', KEYS[1], id)
    if h[2] == ARGV[3] then
      redis.call('HSET', event, 'state', 'ready')
      push(ARGV[1], h[4], h[5], h[6], id, true)
    else
      crashed(ARGV[1], KEYS[2], KEYS[3], now, id, tonumber(ARGV[4]))
    end
    reclaimed = reclaimed + 1
  end
end
return reclaimed
