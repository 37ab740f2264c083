-- alive: record that a process is running and what it does. The key expires without new reports.
--
-- KEYS  1 gw:proc:<owner>
-- ARGV  1 TTL (ms)  2.. field, value, field, value …
-- Returns { 'alive' }
-- include: allow_writes_at_maxmemory
-- include: slice
local process_key = KEYS[1]
local ttl_ms = ARGV[1]
local fields = slice(ARGV, 2)

allow_writes_at_maxmemory(process_key) -- removes the TTL, which is set again below
redis.call('HSET', process_key, unpack(fields))
redis.call('PEXPIRE', process_key, ttl_ms)
return { 'alive' }
