-- Sends the requests of a file, each once (or, with "cycle", over and over), and measures from the
-- first one to the last answer. When the time is over or the file ends, a connection is given
-- nothing more to send, so that wrk's own end cuts no request off: every one sent is answered.
--
-- wrk … -s requests.lua URL -- FILE SIZE COUNT SECONDS once|cycle
local ffi = require('ffi')
ffi.cdef [[
  typedef struct { long seconds; long nanoseconds; } bench_time;
  int clock_gettime(int, bench_time *);
]]
local REALTIME = 0
local spare = ffi.new('bench_time')
local function now()
  ffi.C.clock_gettime(REALTIME, spare)
  return tonumber(spare.seconds) + tonumber(spare.nanoseconds) / 1e9
end

local threads = {}
function setup(thread)
  thread:set('place', #threads)
  threads[#threads + 1] = thread
end

local THREADS = 2 -- as in wrk.py
local data, size, share, seconds, cycle
local sent = 0
-- Globals, for the main thread reads them.
began, ended = 0, 0
-- wrk asks the first thread for one request that it only looks at.
local looked_at = false

function init(args)
  size, seconds, cycle = tonumber(args[2]), tonumber(args[4]), args[5] == 'cycle'
  share = math.floor(tonumber(args[3]) / THREADS)
  local file = assert(io.open(args[1], 'rb'))
  file:seek('set', place * share * size)
  data = file:read(share * size)
  file:close()
  looked_at = place > 0
end

local function record(number)
  return string.sub(data, number * size + 1, (number + 1) * size)
end

function request()
  if not looked_at then
    looked_at = true
    return record(0)
  end
  ended = now()
  if began == 0 then
    began = ended
  end
  if ended - began >= seconds or (sent >= share and not cycle) then
    return ''
  end
  sent = sent + 1
  return record((sent - 1) % share)
end

function done(summary, latency)
  local first, last, total = math.huge, 0, 0
  for _, thread in ipairs(threads) do
    first = math.min(first, thread:get('began'))
    last = math.max(last, thread:get('ended'))
  end
  local errors = summary.errors
  print(string.format(
    'RESULT {"answers": %d, "seconds": %.6f, "not_2xx": %d, "broken": %d, "p50_ms": %.3f, "p99_ms": %.3f, "max_ms": %.3f}',
    summary.requests, last - first, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency.max / 1000))
end
