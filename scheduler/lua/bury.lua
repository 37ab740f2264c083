-- bury: dead-letter an event that cannot be retried. Body and history stay until an operator
-- replays or drops it.
--
-- KEYS  1 stats  2 event  3 locks:<lane>  4 dead
-- ARGV  1 prefix  2 id  3 gen  4 reason (counted)  5 error (short; '': none)
--       6 failed attempts to add (0 or 1)
-- Returns { 'dead' } | { 'not_holder' }
-- include: allow_writes_at_maxmemory
-- include: clock
-- include: holds_lock
-- include: refuse_stale_holder
-- include: dead_letter
local stats_key = KEYS[1]
local event_key = KEYS[2]
local locks_key = KEYS[3]
local dead_key = KEYS[4]
local prefix = ARGV[1]
local id = ARGV[2]
local gen = ARGV[3]
local reason = ARGV[4]
local error_text = ARGV[5]
local failed_attempts = ARGV[6]

allow_writes_at_maxmemory(stats_key)
if not holds_lock(locks_key, event_key, id, gen) then
  return refuse_stale_holder(stats_key)
end
local now_ms = clock()
redis.call('ZREM', locks_key, id)
if error_text ~= '' then
  redis.call('HSET', event_key, 'last_error', error_text)
end
redis.call('HINCRBY', event_key, 'attempts', failed_attempts)
dead_letter(prefix, stats_key, dead_key, now_ms, id, reason)
return { 'dead' }
