-- trim: completed and dead past their retention -> gone (bounded batch); a dead one counts as discarded
-- KEYS[1] completed (ZSET)   KEYS[2] dead (ZSET)   KEYS[3] stats (HASH)   KEYS[4] config (HASH)   KEYS[5] task: (prefix of HASH)
-- KEYS[6] the queue's root (prefix)
-- ARGV[1] limit
-- Returns {completed forgotten, dead discarded}; call again while either equals the limit
local completed, dead, stats, config, task = unpack(KEYS)
local limit = tonumber(ARGV[1])
-- part: departure

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

for _, count in ipairs(redis.call('HMGET', stats, 'discarded')) do
  if count and not string.find(count, '^%-?%d+$') then return redis.error_reply('REFUSED a counter in stats is no whole number') end
end
local keep = redis.call('HMGET', config, 'completed_ms', 'completed_max', 'dead_ms')
local completed_ms, completed_max = tonumber(keep[1] or '3600000') or 3600000, math.floor(tonumber(keep[2] or '10000') or 10000)
local dead_ms = tonumber(keep[3] or '2592000000') or 2592000000
local old = redis.call('ZRANGEBYSCORE', completed, '-inf', now - completed_ms, 'LIMIT', 0, limit)
local surplus = math.min(redis.call('ZCARD', completed) - completed_max, limit)
if surplus > #old then old = redis.call('ZRANGE', completed, 0, surplus - 1) end
local expired = redis.call('ZRANGEBYSCORE', dead, '-inf', now - dead_ms, 'LIMIT', 0, limit)

for _, id in ipairs(old) do
  redis.call('ZREM', completed, id)
  redis.call('UNLINK', task .. id)
end
for _, id in ipairs(expired) do
  local f = redis.pcall('HMGET', task .. id, 'marks', 'lane')
  redis.call('ZREM', dead, id)
  redis.call('UNLINK', task .. id)
  if f[1] then departed(id, f[1], 'discarded', f[2]) end
end
if #expired > 0 then redis.call('HINCRBY', stats, 'discarded', #expired) end
return {#old, #expired}
