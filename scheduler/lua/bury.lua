-- bury: hopeless; the event lies among the dead letters, body and history kept, until an operator
-- replays or drops it.
--
-- KEYS  1 locks:<lane>  2 event  3 dead  4 stats
-- ARGV  1 id  2 gen  3 reason (counted)  4 error (short; '': none)  5 failed attempts to add (0, 1)
--       6 prefix
-- Returns { 'dead' } | { 'not_holder' }
-- include: unrefusable
-- include: clock
-- include: holder
-- include: dead
if not holds(KEYS[1], KEYS[2], ARGV[1], ARGV[2]) then
  return refused(KEYS[4])
end
redis.call('ZREM', KEYS[1], ARGV[1])
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[2], 'last_error', ARGV[4])
end
redis.call('HINCRBY', KEYS[2], 'attempts', ARGV[5])
entomb(ARGV[6], KEYS[3], KEYS[4], now, ARGV[1], ARGV[3])
return { 'dead' }
