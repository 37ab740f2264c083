-- holds(locks, event, id, gen): the caller's lock is there and its fencing token is the current
-- one. The number alone is no fence: promotion and reclaim leave it as it is.
local function holds(locks, event, id, gen)
  return redis.call('ZSCORE', locks, id) and redis.call('HGET', event, 'gen') == gen
end
local function refused(stats)
  redis.call('HINCRBY', stats, 'refused_stale', 1)
  return { 'not_holder' }
end
