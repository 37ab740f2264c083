-- alive: a process says that it lives and what it does; the key goes by itself when it stops.
--
-- KEYS  1 gw:proc:<owner>
-- ARGV  1 time to live (ms)  2.. field, value, field, value …
-- Returns { 'alive' }
-- include: unrefusable
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return { 'alive' }
