-- clock(): Redis's time, in ms and in µs since 1970. It is the one clock of all processes.
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000), time[1] * 1000000 + time[2]
end
