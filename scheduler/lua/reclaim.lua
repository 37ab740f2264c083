-- reclaim: a process that was started anew under its name takes back, at once, what its
-- predecessor (same owner, other boot) had locked. The caller has made sure that no living process
-- has that name.
--
-- KEYS  1 locks:<lane>  2 dead  3 stats
-- ARGV  1 prefix  2 owner  3 boot  4 max crashes
-- Returns the number of events reclaimed. The set is as small as all workers' slots together.
-- include: unrefusable
-- include: clock
-- include: push
-- include: dead
-- include: crashed
local reclaimed = 0
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local h = redis.call('HMGET', ARGV[1] .. 'event:' .. id, 'owner', 'boot', 'state')
  if h[1] == ARGV[2] and h[2] ~= ARGV[3] and h[3] == 'locked' then
    redis.call('ZREM', KEYS[1], id)
    crashed(ARGV[1], KEYS[2], KEYS[3], now, id, tonumber(ARGV[4]))
    reclaimed = reclaimed + 1
  end
end
return reclaimed
