-- read_lanes: read-only; the lanes of a queue in which most tasks stand, and what they wait for (bounded)
-- KEYS[1] lanes (ZSET)   KEYS[2] the queue's root (prefix)
-- ARGV[1] limit
-- Returns {now (ms), lanes there are, lanes that a limit holds back, one array per lane:
--          {name, standing, in waiting, running or -1 (not counted: it has no concurrency), starts within the rate's period,
--           its concurrency, its rate: starts, per (ms) (0 = none), when the rate lets the next one in (ms, -1: it does now)}}
-- Order: most standing first.
local lanes = KEYS[1]
-- part: lane

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local reply = {now, redis.call('ZCARD', lanes), redis.call('ZCOUNT', lanes, 1, '+inf') - lane_count(redis.pcall('HLEN', lane_root .. 'lane-ready'))}
for i, name in ipairs(redis.call('ZREVRANGE', lanes, 0, ARGV[1] - 1)) do
  local most, per, ms = lane_limits(name)
  local places, starts = lane_root .. 'places:' .. name, lane_root .. 'starts:' .. name
  local running = most > 0 and lane_count(redis.pcall('ZCOUNT', places, 1, 1)) or -1
  local used = per > 0 and lane_count(redis.pcall('ZCOUNT', starts, string.format('%.0f', now - ms + 1), '+inf')) or 0
  local wake = tonumber(redis.pcall('ZSCORE', lane_root .. 'lane-wakes', name) or '-1') or -1
  reply[i + 3] = {name, lane_count(redis.pcall('ZCARD', lane_root .. 'lane:' .. name)), lane_count(redis.pcall('ZCOUNT', places, 0, 0)), running, used,
    most, per, ms, wake}
end
return reply
