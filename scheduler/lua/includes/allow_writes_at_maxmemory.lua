-- allow_writes_at_maxmemory(key): must be the first write of a script. At maxmemory Redis refuses
-- the writes of a script unless its first one can free memory. PERSIST can; on a key without a TTL
-- it changes nothing, so that a full queue can always be drained.
local function allow_writes_at_maxmemory(key)
  redis.call('PERSIST', key)
end
