-- promote: delayed and due -> waiting (bounded batch)
-- KEYS[1] delayed (ZSET)   KEYS[2] waiting (LIST)   KEYS[3] priority (ZSET)   KEYS[4] stats (HASH)
-- KEYS[5] task: (prefix of HASH)
-- ARGV[1] limit
-- Returns {promoted, when the next one is due (epoch ms, -1 = none), how late the latest was (ms), now (ms)}
local delayed, waiting, priority, stats, task = unpack(KEYS)

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

redis.call('LLEN', waiting)
redis.call('ZCARD', priority)
redis.call('HLEN', stats)
local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[1])
local found = {}
for i = 1, #due, 2 do
  found[#found + 1] = {due[i], redis.call('HMGET', task .. due[i], 'score', 'parked')}
end

local lag, parked = 0, 0
if #due > 0 then lag = now - tonumber(due[2]) end
for _, entry in ipairs(found) do
  local id, fields = entry[1], entry[2]
  redis.call('ZREM', delayed, id)
  redis.call('HSET', task .. id, 'state', 'waiting', 'since_ms', now)
  if fields[2] then
    redis.call('HDEL', task .. id, 'parked')
    parked = parked + 1
  end
  if fields[1] then
    redis.call('ZADD', priority, fields[1], id)
    redis.call('RPUSH', waiting, '*')
  else
    redis.call('LPUSH', waiting, id)
  end
end
if parked > 0 then redis.call('HINCRBY', stats, 'parked', -parked) end

local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
return {#found, first[2] and tonumber(first[2]) or -1, lag, now}
