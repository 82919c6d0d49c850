-- lease: the operator vouches for workers whose pods it sees running, or asks workers to drain; both end by themselves
-- KEYS[1] workers (ZSET)   KEYS[2...] worker (HASH) of each
-- ARGV[1] field: vouched_until_ms | drain_until_ms   ARGV[2] lease (ms, 0 = end it now), then the worker ids
-- Returns how many of them are registered
local workers = KEYS[1]

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local registered = {}
for i = 2, #KEYS do
  redis.call('HLEN', KEYS[i])
  registered[i] = redis.call('ZSCORE', workers, ARGV[i + 1])
end

local count = 0
for i = 2, #KEYS do
  if registered[i] then
    if ARGV[2] == '0' then redis.call('HDEL', KEYS[i], ARGV[1])
    else redis.call('HSET', KEYS[i], ARGV[1], now + tonumber(ARGV[2])) end
    count = count + 1
  end
end
return count
