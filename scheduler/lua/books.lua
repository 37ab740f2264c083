-- books: read every counter and every structure that they count, at one instant. Writes nothing.
--
-- KEYS  1 stats  2 turn:lookup  3 turn:routing  4 locks:lookup  5 locks:routing  6 retry  7 dead
--       8 done
-- ARGV  1 prefix
-- Returns { now (ms), retrying, dead, tombstones, locked lookup, locked routing,
--           { source, ready lookup, … }, { source, ready routing, … }, { stat, value, … } }
-- include: clock
local stats_key = KEYS[1]
local turn_lookup_key = KEYS[2]
local turn_routing_key = KEYS[3]
local locks_lookup_key = KEYS[4]
local locks_routing_key = KEYS[5]
local retry_key = KEYS[6]
local dead_key = KEYS[7]
local done_key = KEYS[8]
local prefix = ARGV[1]

local function ready_by_source(turn_key, lane)
  local rows = {}
  for _, source in ipairs(redis.call('LRANGE', turn_key, 0, -1)) do
    rows[#rows + 1] = source
    rows[#rows + 1] = redis.call('LLEN', prefix .. 'ready:' .. lane .. ':' .. source)
  end
  return rows
end

local now_ms = clock()
return {
  now_ms,
  redis.call('ZCARD', retry_key),
  redis.call('ZCARD', dead_key),
  redis.call('ZCARD', done_key),
  redis.call('ZCARD', locks_lookup_key),
  redis.call('ZCARD', locks_routing_key),
  ready_by_source(turn_lookup_key, 'lookup'),
  ready_by_source(turn_routing_key, 'routing'),
  redis.call('HGETALL', stats_key),
}
