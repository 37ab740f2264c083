-- holds_lock(locks_key, event_key, id, gen): whether the event is locked under this fencing token.
-- The token alone proves nothing: promote and reclaim remove a lock and leave gen as it is.
local function holds_lock(locks_key, event_key, id, gen)
  return redis.call('ZSCORE', locks_key, id) and redis.call('HGET', event_key, 'gen') == gen
end
