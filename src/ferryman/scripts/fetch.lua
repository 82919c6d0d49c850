-- fetch: handed | waiting -> active of this worker (what was handed over, then up to n)
-- KEYS[1] waiting (LIST)   KEYS[2] handed (LIST)    KEYS[3] priority (ZSET)   KEYS[4] active of the worker (LIST)
-- KEYS[5] workers (ZSET)   KEYS[6] worker (HASH)    KEYS[7] dead (ZSET)       KEYS[8] stats (HASH)
-- KEYS[9] config (HASH)    KEYS[10] task: (prefix of HASH)       KEYS[11] the queue's root (prefix)
-- ARGV[1] worker id   ARGV[2] limit   ARGV[3] what BLMOVE handed to this worker ('' = nothing; '?' = sent
--         along with a BLMOVE, before its answer: what stands longest in handed, whoever it was handed to)
-- Returns {reply, now (ms), left in waiting, one array per task:
--          {id, name, args, options, attempts spent, token, enqueued (ms), waiting since (ms), suspect, parks, crashes}}
-- reply: 'ok'; 'unregistered': declared dead, take nothing; 'held' | 'draining': the queue or the worker rests;
--        'alone': a suspect is held, nothing may run beside it.
-- A suspect, a task that two workers died with, comes alone in its batch; its worker starts it when all else that it
-- holds has ended. After one death it runs in company: most workers die of something else, and isolation is slow.
-- A marker stands for the first of `priority`; one without a task behind it, and an id that is not waiting
-- (cancelled), are ghosts: counted in stats.ghosts by who left them, dropped here.
-- One whose deadline has passed, or that somebody has cancelled, is discarded. A damaged record (no hash, no known state, no number where one belongs) can't be run by anybody: it goes to dead.
local waiting, handed, priority, active, workers, worker, dead, stats, config, task = unpack(KEYS)
local me, limit, given = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local SUSPECT_AFTER_DEATHS = 2
-- part: cut_short

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local deadline = tonumber(redis.call('ZSCORE', workers, me) or '0')
if deadline <= 0 then return {'unregistered', now, 0} end
redis.call('ZCARD', dead)
local counters = redis.call('HMGET', stats, 'ghosts')
for _, count in ipairs(counters) do
  if count and not string.find(count, '^%-?%d+$') then return redis.error_reply('REFUSED a counter in stats is no whole number') end
end
local haunted = tonumber(counters[1] or '0') > 0
if given == '?' then given = redis.call('LINDEX', handed, -1) or '' end
local in_handed = given ~= '' and redis.call('LPOS', handed, given)
local held = redis.call('LLEN', active)
local line = redis.call('LLEN', waiting)
local leases = redis.call('HMGET', worker, 'drain_until_ms', 'alone')

local rests = false
local says = redis.call('HMGET', config, 'hold', 'rate_count', 'code_rate_count')
local rated = (tonumber(says[3] or says[2] or '0') or 0) > 0
if says[1] == '1' then rests = 'held'
elseif (tonumber(leases[1] or '0') or 0) > now then rests = 'draining'
elseif leases[2] and held > 0 then rests = 'alone' end
if rests then
  if in_handed then
    redis.call('LREM', handed, -1, given)
    redis.call('RPUSH', waiting, given)
  end
  return {rests, now, line + (in_handed and 1 or 0)}
end

-- Read: what stands at the front, and what each entry means.
local entries = in_handed and {given} or {}
if #entries < limit then
  local front = redis.call('LRANGE', waiting, #entries - limit, -1)
  for i = #front, 1, -1 do entries[#entries + 1] = front[i] end
end
local STATES = {waiting = true, delayed = true, blocked = true, active = true, dead = true, completed = true, discarded = true}
local function lost(f) -- nobody else's either
  return f.err or f[1] and not STATES[f[1]] or not f[1] and f[2]
end
local function unwanted(id, marks) -- why nobody shall run it any more; a wish stays where an older worker gave it back
  if is_cancelled(marks) then return 'cancelled' end
  local until_ms = string.find(marks, 'e', 1, true) and redis.call('HGET', task .. id, 'expires_ms')
  return until_ms and now > (tonumber(until_ms) or 0) and 'expired'
end
local function damaged(f) -- one match over all numbers: six would be felt at tens of thousands of tasks a second
  return lost(f) or not string.find((f[5] or '0') .. ' ' .. (f[6] or '0') .. ' ' .. (f[7] or '0') .. ' ' .. (f[8] or '0') .. ' '
    .. (f[10] or '0') .. ' ' .. (f[11] or '0'), '^%d+ %d+ %d+ %d+ %d+ %d+$')
end
local late, chosen, broken, ghosts, seen, ranked, markers, used, alone = {}, {}, {}, 0, {}, false, 0, 0, false
for position, entry in ipairs(entries) do
  local id = entry
  if entry == '*' then
    ranked = ranked or redis.call('ZRANGE', priority, 0, limit - 1)
    markers = markers + 1
    id = ranked[markers]
  end
  local f = id and not seen[id] and redis.pcall('HMGET', task .. id, 'state', 'name', 'args', 'options', 'attempt',
    'deliveries', 'enqueued_ms', 'since_ms', 'deaths', 'parks', 'crashes', 'marks')
  local takes = f and (f[1] == 'waiting' or lost(f))
  -- A cancelled id may be in use again, now with a priority: its own entry is a marker then, and this one is the ghost.
  if haunted and takes and entry ~= '*' and not f.err
    and string.find(redis.call('HGET', task .. id, 'score') or '', '^%-?%d+$') then id, takes = nil, false end
  local breaks = takes and damaged(f)
  local why = takes and not breaks and f[12] and unwanted(id, f[12])
  local suspect = takes and not breaks and not why and (tonumber(f[9] or '0') or 0) >= SUSPECT_AFTER_DEATHS
  if suspect and #chosen > 0 then
    if entry == '*' then markers = markers - 1 end
    break
  end
  used = position
  if id then seen[id] = true end
  if breaks then broken[#broken + 1] = {id, f[12]}
  elseif why then late[#late + 1] = {id, why}
  elseif takes then chosen[#chosen + 1] = {id, f}
  else ghosts = ghosts + 1 end
  if suspect then
    alone = id
    break
  end
end
local from_waiting = in_handed and used - 1 or used
if #late > 0 then
  local damage = cannot_cut_short()
  if damage then return damage end
end

-- Write.
if in_handed then redis.call('LREM', handed, -1, given) end
if from_waiting > 0 then redis.call('LTRIM', waiting, 0, -from_waiting - 1) end
for i = 1, math.min(markers, ranked and #ranked or 0) do redis.call('ZREM', priority, ranked[i]) end
if ghosts > 0 then redis.call('HINCRBY', stats, 'ghosts', -ghosts) end
for _, entry in ipairs(late) do cut_short(entry[1], entry[2], now) end
for _, entry in ipairs(broken) do
  local id = entry[1]
  redis.call('ZADD', dead, now, id)
  redis.pcall('HSET', task .. id, 'state', 'dead', 'since_ms', now, 'finished_ms', now, 'error', 'its record is damaged')
  if entry[2] then departed(id, entry[2], 'dead') end
end
local reply, taken, at = {'ok', now, 0}, {}, string.format('%.0f', now)
-- Of a task with marks, and of all where the queue has a rate: whether limits let it go now. If not, it stands in its lane.
local function passes(id, marks, token)
  local own = redis.pcall('HMGET', task .. id, 'lane', 'priority', 'unique')
  local laned = string.find(marks, 'l', 1, true)
  if rated and not laned then -- the rate is younger than the task
    redis.call('HSET', task .. id, 'marks', marks .. 'l')
    laned = true
  end
  if laned and not lane_take(id, own[1], own[2], token, now, at) then return false end
  local key = own[3] and KEYS[#KEYS] .. 'unique:' .. own[3]
  if key and string.find(marks, 'u', 1, true) and redis.pcall('GET', key) == id then redis.call('DEL', key) end
  return true
end
for _, pair in ipairs(chosen) do
  local id, f = pair[1], pair[2]
  local token = tonumber(f[6] or '0') + 1
  if not (f[12] or rated) or passes(id, f[12] or '', token) then
    taken[#taken + 1] = id
    redis.call('HSET', task .. id, 'state', 'active', 'worker', me, 'deliveries', token, 'since_ms', at)
    reply[#reply + 1] = {id, f[2] or '', f[3] or '', f[4] or '', f[5] or '0', token, f[7] or '0', f[8] or '0',
      id == alone and 1 or 0, f[10] or '0', f[11] or '0'}
  elseif id == alone then alone = false end
end
-- Lua passes a few thousand values to one command at most.
for i = 1, #taken, 500 do redis.call('LPUSH', active, unpack(taken, i, math.min(i + 499, #taken))) end
if alone then
  redis.call('HSET', worker, 'alone', alone)
elseif leases[2] then
  redis.call('HDEL', worker, 'alone')
end
reply[3] = lanes_settle() and redis.call('LLEN', waiting) or line - from_waiting
return reply
