-- wake_scheduler(wake_scheduler_key, retry_key, id): the scheduler sleeps until the earliest due
-- time that it knows, so it must be woken when id is due before all others.
-- include: wake
local function wake_scheduler(wake_scheduler_key, retry_key, id)
  if redis.call('ZRANGE', retry_key, 0, 0)[1] == id then
    wake(wake_scheduler_key, 1)
  end
end
