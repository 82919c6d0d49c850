-- promote: delayed and due -> waiting (bounded batch)
-- KEYS[1] delayed (ZSET)   KEYS[2] waiting (LIST)   KEYS[3] priority (ZSET)   KEYS[4] stats (HASH)
-- KEYS[5] task: (prefix of HASH)   KEYS[6] dead (ZSET)     KEYS[7] the queue's root (prefix)
-- ARGV[1] limit
-- A task with a lane comes to its lane. Lanes whose rate lets the next one in by now are served too.
-- A task whose record is no hash goes to dead, so that it does not hold up those behind it.
-- Returns {promoted, when the next one is due (epoch ms, -1 = none), how late the latest was (ms), now (ms)}
local delayed, waiting, priority, stats, task, dead = unpack(KEYS)
-- part: lane

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

redis.call('LLEN', waiting)
redis.call('ZCARD', priority)
redis.call('ZCARD', dead)
for _, count in ipairs(redis.call('HMGET', stats, 'parked')) do
  if count and not string.find(count, '^%-?%d+$') then return redis.error_reply('REFUSED a counter in stats is no whole number') end
end
local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[1])
local count = #due / 2
local found = {}
for i = 1, count do
  found[i] = redis.pcall('HMGET', task .. due[2 * i - 1], 'score', 'parked', 'marks', 'lane', 'priority')
end

local plain, ranked, laned, parked, at = {}, 0, 0, 0, string.format('%.0f', now)
for i = 1, count do
  local id, fields = due[2 * i - 1], found[i]
  if fields.err then
    redis.call('ZADD', dead, at, id)
  else
    local score = fields[1] and string.match(fields[1], '^%-?%d+$')
    redis.call('HSET', task .. id, 'state', 'waiting', 'since_ms', at)
    if fields[2] then
      redis.call('HDEL', task .. id, 'parked')
      parked = parked + 1
    end
    if fields[3] and string.find(fields[3], 'l', 1, true) and lane_enter(id, fields[4], fields[5], at) then
      laned = laned + 1
    elseif score then
      redis.call('ZADD', priority, score, id)
      redis.call(tonumber(score) < 0 and 'RPUSH' or 'LPUSH', waiting, '*')
      ranked = ranked + 1
    else
      plain[#plain + 1] = id
    end
  end
end
-- What is due are the first of the set: taking them by rank spares a search for each.
if count > 0 then redis.call('ZREMRANGEBYRANK', delayed, 0, count - 1) end
-- Lua passes a few thousand values to one command at most, so long batches go in pieces.
for i = 1, #plain, 1000 do redis.call('LPUSH', waiting, unpack(plain, i, math.min(i + 999, #plain))) end
if parked > 0 then redis.call('HINCRBY', stats, 'parked', -parked) end

local wakes = KEYS[#KEYS] .. 'lane-wakes'
for _, name in ipairs(redis.pcall('ZRANGEBYSCORE', wakes, '-inf', at, 'LIMIT', 0, math.ceil(ARGV[1] / 10))) do
  redis.pcall('ZREM', wakes, name)
  lane_touch(name)
end
lanes_settle()

local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
local wake, next_due = redis.pcall('ZRANGE', wakes, 0, 0, 'WITHSCORES'), tonumber(first[2] or '-1')
if wake[2] and (next_due < 0 or tonumber(wake[2]) < next_due) then next_due = tonumber(wake[2]) end
return {#plain + ranked + laned, next_due, due[2] and now - tonumber(due[2]) or 0, now}
