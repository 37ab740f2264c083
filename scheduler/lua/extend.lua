-- extend: the holder lives; its locks get a new deadline.
--
-- KEYS  1 locks:<lane>
-- ARGV  1 prefix  2 lease (ms)  3.. id, gen, id, gen …
-- Returns the ids that the caller holds no more.
-- include: unrefusable
-- include: clock
-- include: holder
local lost = {}
for i = 3, #ARGV, 2 do
  if holds(KEYS[1], ARGV[1] .. 'event:' .. ARGV[i], ARGV[i], ARGV[i + 1]) then
    redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[i])
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
