-- (KEYS 3 is retry, KEYS 4 wake:scheduler) The scheduler sleeps until the earliest due time it
-- knows: it must hear of an earlier one.
if redis.call('ZRANGE', KEYS[3], 0, 0)[1] == ARGV[1] and redis.call('LLEN', KEYS[4]) < 1 then
  redis.call('LPUSH', KEYS[4], '1')
end
