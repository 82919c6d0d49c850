-- expire: waiting | delayed | blocked, its deadline passed -> discarded (bounded batch)
-- KEYS[1] expiring (ZSET)  KEYS[2] priority (ZSET)   KEYS[3] delayed (ZSET)   KEYS[4] blocked (ZSET)   KEYS[5] stats (HASH)
-- KEYS[6] task: (prefix of HASH)   KEYS[7] the queue's root (prefix)
-- ARGV[1] limit
-- Returns {expired, looked at, when the next deadline passes (epoch ms, -1 = none), now (ms)}
-- What runs has met its deadline; it is looked at again now and then, for it may come back. A waiting id in the middle
-- of the list leaves its entry behind as a ghost, as in discard.
local expiring_set, priority, delayed, blocked, stats, task = unpack(KEYS)
local ACTIVE_AGAIN_MS = 30000
-- part: cut_short

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local due = redis.call('ZRANGEBYSCORE', expiring_set, '-inf', now, 'LIMIT', 0, ARGV[1])
if #due > 0 then
  for _, set in ipairs({priority, delayed, blocked}) do redis.call('ZCARD', set) end
  for _, count in ipairs(redis.call('HMGET', stats, 'ghosts', 'parked')) do
    if count and not string.find(count, '^%-?%d+$') then return redis.error_reply('REFUSED a counter in stats is no whole number') end
  end
  local damage = cannot_cut_short()
  if damage then return damage end
end
local sets = {delayed = delayed, blocked = blocked}
local expired = 0
for _, id in ipairs(due) do
  local f = redis.pcall('HMGET', task .. id, 'state', 'parked')
  local state = f[1]
  if state == 'active' then
    redis.call('ZADD', expiring_set, string.format('%.0f', now + ACTIVE_AGAIN_MS), id)
  else
    redis.call('ZREM', expiring_set, id)
    if state == 'waiting' or state and sets[state] then
      if state == 'waiting' then
        redis.call('ZREM', priority, id)
        redis.call('HINCRBY', stats, 'ghosts', 1)
      else
        redis.call('ZREM', sets[state], id)
        if f[2] then redis.call('HINCRBY', stats, 'parked', -1) end
      end
      cut_short(id, 'expired', now)
      expired = expired + 1
    end
  end
end
local first = redis.call('ZRANGE', expiring_set, 0, 0, 'WITHSCORES')
return {expired, #due, first[2] and tonumber(first[2]) or -1, now}
