-- refuse_stale_holder(stats_key): the reply to a caller that does not hold the lock any more.
local function refuse_stale_holder(stats_key)
  redis.call('HINCRBY', stats_key, 'refused_stale', 1)
  return { 'not_holder' }
end
