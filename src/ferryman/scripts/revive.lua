-- revive: dead -> waiting, with a fresh budget of attempts and crashes (bounded batch)
-- KEYS[1] dead (ZSET)    KEYS[2] waiting (LIST)   KEYS[3] priority (ZSET)   KEYS[4] stats (HASH)
-- KEYS[5] task: (prefix of HASH)   KEYS[6] unique: (prefix of STRING)   KEYS[7] the queue's root (prefix)
-- ARGV[1] limit, then the ids; none = the oldest
-- Returns {left in dead, ids revived...}. One whose unique key another task holds by now stays dead.
local dead, waiting, priority, stats, task, unique = unpack(KEYS)
-- part: lane

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

redis.call('LLEN', waiting)
redis.call('ZCARD', priority)
for _, count in ipairs(redis.call('HMGET', stats, 'revived')) do
  if count and not string.find(count, '^%-?%d+$') then return redis.error_reply('REFUSED a counter in stats is no whole number') end
end
local ids = {unpack(ARGV, 2)}
if #ids == 0 then ids = redis.call('ZRANGE', dead, 0, ARGV[1] - 1) end
local found, taken = {}, {}
for _, id in ipairs(ids) do
  local f = redis.pcall('HMGET', task .. id, 'name', 'score', 'unique', 'marks', 'lane', 'priority')
  local owner = f[3] and (taken[f[3]] or redis.pcall('GET', unique .. f[3]))
  if f[1] and redis.call('ZSCORE', dead, id) and not taken['id ' .. id] and (not owner or owner == id) then
    found[#found + 1] = {id, f[2] and string.match(f[2], '^%-?%d+$'), f[3], f[4] and string.find(f[4], 'l', 1, true), f[5], f[6]}
    taken['id ' .. id] = true
    if f[3] then taken[f[3]] = id end
  end
end

local reply = {0}
for _, entry in ipairs(found) do
  local id, score, key = entry[1], entry[2], entry[3]
  redis.call('ZREM', dead, id)
  redis.call('HSET', task .. id, 'state', 'waiting', 'since_ms', now)
  redis.call('HDEL', task .. id, 'attempt', 'crashes', 'recoveries', 'parks', 'deaths', 'finished_ms', 'expires_ms', 'progress', 'progress_ms')
  if key then redis.call('SET', unique .. key, id) end
  if entry[4] and lane_enter(id, entry[5], entry[6], string.format('%.0f', now)) then
    -- It stands in its lane.
  elseif score then
    redis.call('ZADD', priority, score, id)
    redis.call(tonumber(score) < 0 and 'RPUSH' or 'LPUSH', waiting, '*')
  else
    redis.call('LPUSH', waiting, id)
  end
  reply[#reply + 1] = id
end
if #found > 0 then redis.call('HINCRBY', stats, 'revived', #found) end
lanes_settle()
reply[1] = redis.call('ZCARD', dead)
return reply
