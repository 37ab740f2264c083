-- books: everything the books must balance over, read at one instant. Writes nothing.
--
-- KEYS  1 stats  2 retry  3 dead  4 done  5 locks:lookup  6 locks:routing
--       7 turn:lookup  8 turn:routing
-- ARGV  1 prefix
-- Returns { now (ms), retrying, dead, tombstones, locked lookup, locked routing,
--           { source, waiting lookup, … }, { source, waiting routing, … }, { stat, value, … } }
-- include: clock
local function waiting(turn, lane)
  local rows = {}
  for _, source in ipairs(redis.call('LRANGE', turn, 0, -1)) do
    rows[#rows + 1] = source
    rows[#rows + 1] = redis.call('LLEN', ARGV[1] .. 'ready:' .. lane .. ':' .. source)
  end
  return rows
end
return {
  now,
  redis.call('ZCARD', KEYS[2]), redis.call('ZCARD', KEYS[3]), redis.call('ZCARD', KEYS[4]),
  redis.call('ZCARD', KEYS[5]), redis.call('ZCARD', KEYS[6]),
  waiting(KEYS[7], 'lookup'), waiting(KEYS[8], 'routing'),
  redis.call('HGETALL', KEYS[1]),
}
