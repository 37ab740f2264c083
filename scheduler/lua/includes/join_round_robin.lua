-- join_round_robin(turn_key, source): reserve serves the source from now on.
local function join_round_robin(turn_key, source)
  if not redis.call('LPOS', turn_key, source) then
    redis.call('RPUSH', turn_key, source)
  end
end
