-- promote: delayed and due -> waiting (bounded batch)
-- KEYS[1] delayed (ZSET)   KEYS[2] waiting (LIST)   KEYS[3] priority (ZSET)   KEYS[4] stats (HASH)
-- KEYS[5] task: (prefix of HASH)   KEYS[6] dead (ZSET)
-- ARGV[1] limit
-- A task whose record is no hash goes to dead, so that it does not hold up those behind it.
-- Returns {promoted, when the next one is due (epoch ms, -1 = none), how late the latest was (ms), now (ms)}
local delayed, waiting, priority, stats, task, dead = unpack(KEYS)

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

redis.call('LLEN', waiting)
redis.call('ZCARD', priority)
redis.call('ZCARD', dead)
for _, count in ipairs(redis.call('HMGET', stats, 'parked')) do
  if count and not string.find(count, '^%-?%d+$') then return redis.error_reply('REFUSED a counter in stats is no whole number') end
end
local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[1])
local found = {}
for i = 1, #due, 2 do
  found[#found + 1] = {due[i], redis.pcall('HMGET', task .. due[i], 'score', 'parked')}
end

-- Lua passes a few thousand values to one command at most, so long batches go in pieces.
local PIECE = 1000
local function for_each_piece(list, act)
  for i = 1, #list, PIECE do act(unpack(list, i, math.min(i + PIECE - 1, #list))) end
end

local leaving, plain, ranked, parked = {}, {}, 0, 0
for i, entry in ipairs(found) do
  local id, fields = entry[1], entry[2]
  local score = fields[1] and string.match(fields[1], '^%-?%d+$')
  leaving[i] = id
  if fields.err then
    redis.call('ZADD', dead, now, id)
  else
    redis.call('HSET', task .. id, 'state', 'waiting', 'since_ms', now)
    if fields[2] then
      redis.call('HDEL', task .. id, 'parked')
      parked = parked + 1
    end
    if score then
      redis.call('ZADD', priority, score, id)
      redis.call(tonumber(score) < 0 and 'RPUSH' or 'LPUSH', waiting, '*')
      ranked = ranked + 1
    else
      plain[#plain + 1] = id
    end
  end
end
for_each_piece(leaving, function(...) redis.call('ZREM', delayed, ...) end)
for_each_piece(plain, function(...) redis.call('LPUSH', waiting, ...) end)
if parked > 0 then redis.call('HINCRBY', stats, 'parked', -parked) end

local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
return {#plain + ranked, first[2] and tonumber(first[2]) or -1, due[2] and now - tonumber(due[2]) or 0, now}
