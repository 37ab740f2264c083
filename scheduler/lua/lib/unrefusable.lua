-- At maxmemory Redis refuses a script's writes unless its first one can free memory. This one
-- changes nothing (no script's first key has a TTL but gw:proc, which gets it anew) and is never
-- refused, so that a full queue can always be worked off.
redis.call('PERSIST', KEYS[1])
