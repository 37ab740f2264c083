-- wake(wake_key, max): wake one process that blocks on the list, with a token, at most max of them.
local function wake(wake_key, max)
  if redis.call('LLEN', wake_key) < max then
    redis.call('LPUSH', wake_key, '1')
  end
end
