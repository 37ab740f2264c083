-- extend: the holder is still working; its locks get a new deadline.
--
-- KEYS  1 locks:<lane>
-- ARGV  1 prefix  2 lease (ms)  3.. id, gen, id, gen …
-- Returns the ids whose lock the caller does not hold any more
-- include: allow_writes_at_maxmemory
-- include: clock
-- include: holds_lock
-- include: slice
local locks_key = KEYS[1]
local prefix = ARGV[1]
local lease_ms = tonumber(ARGV[2])
local held = slice(ARGV, 3)

allow_writes_at_maxmemory(locks_key)
local now_ms = clock()
local lost = {}
for i = 1, #held, 2 do
  local id, gen = held[i], held[i + 1]
  if holds_lock(locks_key, prefix .. 'event:' .. id, id, gen) then
    redis.call('ZADD', locks_key, now_ms + lease_ms, id)
  else
    lost[#lost + 1] = id
  end
end
return lost
