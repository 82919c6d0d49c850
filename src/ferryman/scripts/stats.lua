-- stats: read-only; all figures of the queue at one instant, so that the accounting is exact
-- KEYS[1] waiting (LIST)  KEYS[2] handed (LIST)  KEYS[3] priority (ZSET)  KEYS[4] delayed (ZSET)  KEYS[5] dead (ZSET)
-- KEYS[6] workers (ZSET)  KEYS[7] stats (HASH)   KEYS[8] config (HASH)    KEYS[9] task: (prefix of HASH)
-- KEYS[10] active: (prefix of LIST)               KEYS[11] blocked (ZSET)
-- KEYS[12] lanes (ZSET)    KEYS[13] lane-ready (HASH)   KEYS[14] lane-wakes (ZSET)
-- ARGV[1] how far ahead "due soon" looks (ms)   ARGV[2] of how many workers the lists are counted at most (0 = of any number)
-- Returns {now, waiting (with handed), delayed, active (-1 = more workers, not counted), dead, workers alive,
--          orphaned (held by the silent; when not counted by the first so many of them),
--          due soon (with the next occurrence of a schedule), next due (-1 = none), oldest waiting since (-1 = none), hold, has a policy, blocked,
--          lanes that a limit holds back, protocol number (0 = none yet), that of a process refused of late (0 = none),
--          then counters as field, value}
-- The loop is over registered workers, one read each, or over the first silent ones; everything else is O(log n) or less.
local waiting, handed, priority, delayed, dead, workers, stats, config, task, active, blocked, lanes, lane_ready, wakes = unpack(KEYS)
local REFUSED_MS = 600000 -- a container that ends again and again is started each five minutes

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local counters = redis.call('HGETALL', stats)
for i = 2, #counters, 2 do
  if not tonumber(counters[i]) then return redis.error_reply('REFUSED a counter in stats is no number') end
end
local ghosts = tonumber(redis.call('HGET', stats, 'ghosts') or '0')
local depth = redis.call('LLEN', waiting) + redis.call('LLEN', handed) - ghosts

local most, registered = tonumber(ARGV[2]), redis.call('ZCARD', workers)
local silent = redis.call('ZCOUNT', workers, '-inf', now)
local counted = most == 0 or registered <= most
local function held_by(first, count)
  local held = 0
  for _, worker in ipairs(count > 0 and redis.call('ZRANGE', workers, first, first + count - 1) or {}) do
    held = held + redis.call('LLEN', active .. worker)
  end
  return held
end
local orphaned = held_by(0, counted and silent or math.min(silent, most)) -- the longest silent come first
local held = counted and orphaned + held_by(silent, registered - silent) or -1

-- The oldest stands at the front of the list, first in its priority, or in handed; ghosts in between are passed over.
local oldest = -1
local function consider(id)
  local f = redis.pcall('HMGET', task .. id, 'state', 'since_ms')
  local since = not f.err and f[1] == 'waiting' and tonumber(f[2] or '')
  if since and (oldest < 0 or since < oldest) then oldest = since end
  return since
end
for _, list in ipairs({handed, waiting}) do
  local front = redis.call('LRANGE', list, -20, -1)
  for i = #front, 1, -1 do
    if front[i] ~= '*' and consider(front[i]) then break end
  end
end
local first = redis.call('ZRANGE', priority, 0, 0)
if first[1] then consider(first[1]) end

local due = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
local wake, next_due = redis.call('ZRANGE', wakes, 0, 0, 'WITHSCORES'), tonumber(due[2] or '-1')
if wake[2] and (next_due < 0 or tonumber(wake[2]) < next_due) then next_due = tonumber(wake[2]) end
local held_back = redis.call('ZCOUNT', lanes, 1, '+inf') - redis.call('HLEN', lane_ready)
local settings = redis.call('HMGET', config, 'hold', 'generation', 'next_fire_ms', 'protocol', 'refused_protocol', 'refused_ms')
local soon, next_fire = now + tonumber(ARGV[1]), tonumber(settings[3] or '')
local refused = now - (tonumber(settings[6] or '') or 0) < REFUSED_MS and tonumber(settings[5] or '') or 0
local reply = {now, depth, redis.call('ZCARD', delayed), held, redis.call('ZCARD', dead), registered - silent, orphaned,
  redis.call('ZCOUNT', delayed, '-inf', soon) + (next_fire and next_fire > now and next_fire <= soon and 1 or 0), next_due, oldest,
  settings[1] == '1' and 1 or 0, settings[2] and 1 or 0, redis.call('ZCARD', blocked), held_back,
  tonumber(settings[4] or '') or 0, refused}
for _, word in ipairs(counters) do reply[#reply + 1] = word end
return reply
