-- list_workers: read-only; who is registered
-- KEYS[1] workers (ZSET)   KEYS[2] worker: (prefix of HASH)   KEYS[3] active: (prefix of LIST)
-- ARGV[1] limit
-- Returns {now (ms), then one array per worker: {id, deadline (ms), active, pod, concurrency, drain until, started, app, version, timeout,
--                                            protocol}}
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local reply = {now}
local ids = redis.call('ZRANGE', KEYS[1], 0, ARGV[1] - 1, 'WITHSCORES')
for i = 1, #ids, 2 do
  local f = redis.call('HMGET', KEYS[2] .. ids[i], 'pod', 'concurrency', 'drain_until_ms', 'started_ms', 'app', 'version', 'timeout_ms',
    'protocol')
  local row = {ids[i], ids[i + 1], redis.call('LLEN', KEYS[3] .. ids[i])}
  for j = 1, 8 do row[j + 3] = f[j] or '' end
  reply[#reply + 1] = row
end
return reply
