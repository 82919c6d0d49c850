-- recover: one look at one worker; when it is dead: its active -> front of waiting, or dead (bounded batch)
-- KEYS[1] workers (ZSET)    KEYS[2] worker (HASH)   KEYS[3] active of the worker (LIST)   KEYS[4] suspected (HASH)
-- KEYS[5] slots (HASH)      KEYS[6] waiting (LIST)  KEYS[7] priority (ZSET)               KEYS[8] dead (ZSET)
-- KEYS[9] stats (HASH)      KEYS[10] config (HASH)  KEYS[11] task: (prefix of HASH)       KEYS[12] unique: (prefix of STRING)
-- KEYS[13] the queue's root (prefix)
-- ARGV[1] worker id   ARGV[2] limit
-- Returns {verdict, to waiting, to dead, left}; verdict: 'alive', 'suspected', 'vouched', 'dead' or 'unknown'.
-- 'dead' is followed by the reason ('heartbeat' = none but silence), 1 when the end was announced, and 2 per task taken:
-- id, outcome: 'recovered' or 'crashed' (charged) = it waits again, 'dead', 'cancelled' (somebody has cancelled it)
--
-- Nobody dies on one look. After a Redis that froze, every deadline has passed, and calls that queued up may run
-- before the beats do: so the looks must lie apart, follow each other without a gap, and span some beats.
-- A worker that died holding one task charges it. Whoever was held, alone or in company, has one death more against
-- it (field `deaths`); fetch hands a task out alone from its second one on, until it completes or fails by itself.
-- That its worker died is added to the history of each. Where a successor was faster than who sees of what workers end,
-- `untold` says whose evidence lacks it (the last 100 at most).
local workers, worker, active, suspected, slots, waiting, priority, dead, stats, config, task, unique = unpack(KEYS)
local id, limit, untold = ARGV[1], tonumber(ARGV[2]), KEYS[13] .. 'untold'
local LOOKS_APART_MS, LOOKS_GAP_MS = 400, 5000
-- part: cut_short

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local score = redis.call('ZSCORE', workers, id)
if not score then return {'unknown', 0, 0, 0} end
local deadline = tonumber(score)
if deadline < 0 then deadline = 1 end -- damage, and long past; 0 is said by those who know
if deadline > now then return {'alive', 0, 0, 0} end
local w = redis.call('HMGET', worker, 'beat_ms', 'vouched_until_ms', 'hint', 'exempt', 'held', 'pod', 'slot', 'untold')
local beat_ms = tonumber(w[1] or '1000') or 1000

if deadline > 0 then
  local limits = redis.call('HMGET', config, 'vouch_max_ms')
  if (tonumber(w[2] or '0') or 0) > now and now - deadline < (tonumber(limits[1] or '60000') or 60000) then return {'vouched', 0, 0, 0} end
  local looks, first, last = 1, now, now
  local seen = redis.call('HGET', suspected, id)
  if seen then
    local for_deadline, n, from, to = string.match(seen, '^(%d+)|(%d+)|(%d+)|(%d+)$')
    if tonumber(for_deadline) == deadline and now - tonumber(to) < LOOKS_GAP_MS then
      looks, first, last = tonumber(n), tonumber(from), tonumber(to)
      if now - last < LOOKS_APART_MS then return {'suspected', 0, 0, 0} end
      looks, last = looks + 1, now
    end
  end
  -- A hint that the container is gone is evidence of its own: one beat of silence more is enough.
  local enough = w[3] and (looks >= 2 and now - first >= beat_ms) or (looks >= 3 and now - first >= 2 * beat_ms)
  if not enough then
    redis.call('HSET', suspected, id, string.format('%.0f|%d|%.0f|%.0f', deadline, looks, first, last))
    return {'suspected', 0, 0, 0}
  end
end

-- Dead. Read all that is to be moved before the first write.
redis.call('LLEN', waiting)
redis.call('ZCARD', priority)
redis.call('ZCARD', dead)
redis.call('HLEN', suspected)
local untold_ends = redis.call('HLEN', untold)
local in_slot = w[7] and redis.call('HGET', slots, w[7])
for _, count in ipairs(redis.call('HMGET', stats, 'recovered', 'dead_by_crash')) do
  if count and not string.find(count, '^%-?%d+$') then return redis.error_reply('REFUSED a counter in stats is no whole number') end
end
local caps = redis.call('HMGET', config, 'crashes_max', 'recoveries_max')
local crashes_max, recoveries_max = tonumber(caps[1] or '3') or 3, tonumber(caps[2] or '100') or 100
local length = redis.call('LLEN', active)
local held = tonumber(w[5] or length) or length
local ids = redis.call('LRANGE', active, 0, limit - 1)
local found, cancelled = {}, false
for _, held_id in ipairs(ids) do
  local f = redis.pcall('HMGET', task .. held_id, 'crashes', 'recoveries', 'score', 'unique', 'evidence', 'deaths',
    'attempt', 'since_ms', 'history', 'marks')
  f[3] = f[3] and string.match(f[3], '^%-?%d+$')
  f.owner = f[4] and redis.pcall('GET', unique .. f[4])
  f.cancelled = not f.err and is_cancelled(f[10])
  cancelled = cancelled or f.cancelled
  found[#found + 1] = {held_id, f}
end
if cancelled then
  local damage = cannot_cut_short()
  if damage then return damage end
end

if deadline > 0 then
  redis.call('ZADD', workers, 0, id)
  redis.call('HDEL', suspected, id)
end
if not w[5] then redis.call('HSET', worker, 'held', held) end
local to_waiting, to_dead, by_crash, taken = 0, 0, 0, {}
local reason = w[3] or 'heartbeat'
local death = w[3] and 'its worker died: ' .. w[3] or 'its worker fell silent'
local proof = cjson.encode({worker = id, pod = w[6] or '', reason = reason, at_ms = string.format('%.0f', now), held = held})
-- From the newest to the oldest, so that the oldest ends up at the front.
for _, pair in ipairs(found) do
  local held_id, f = pair[1], pair[2]
  local hash = task .. held_id
  if f.err then -- no record to speak of: a person decides
    redis.call('ZADD', dead, now, held_id)
    to_dead = to_dead + 1
    taken[#taken + 1], taken[#taken + 2] = held_id, 'dead'
  elseif f.cancelled then
    cut_short(held_id, 'cancelled', now, {id, nil, death})
    taken[#taken + 1], taken[#taken + 2] = held_id, 'cancelled'
  else
    local crashes, recoveries = tonumber(f[1] or '0') or 0, (tonumber(f[2] or '0') or 0) + 1
    local charged = held == 1 and not w[4]
    if charged then
      crashes = crashes + 1
      redis.call('HSET', hash, 'crashes', crashes, 'evidence', (f[5] and f[5] .. '\n' or '') .. proof)
      if w[8] then
        if untold_ends >= 100 then redis.call('DEL', untold) end
        redis.call('HSET', untold, id, held_id .. '\n' .. reason)
      end
    end
    local spent = (charged and crashes >= crashes_max) or recoveries >= recoveries_max
    local outcome = spent and 'dead' or charged and 'crashed' or 'recovered'
    taken[#taken + 1], taken[#taken + 2] = held_id, outcome
    redis.call('HSET', hash, 'recoveries', recoveries, 'since_ms', now, 'history',
      remembered(f[9], id, (tonumber(f[7] or '0') or 0) + 1, f[8], now, nil, outcome, death))
    redis.call('HDEL', hash, 'worker')
    if spent then
      redis.call('ZADD', dead, now, held_id)
      redis.call('HSET', hash, 'state', 'dead', 'finished_ms', now, 'error',
        charged and 'its worker died ' .. crashes .. ' times while it ran alone' or 'recovered ' .. recoveries .. ' times without an end')
      if f.owner == held_id then redis.call('DEL', unique .. f[4]) end
      to_dead, by_crash = to_dead + 1, by_crash + 1
    else
      redis.call('HSET', hash, 'state', 'waiting')
      if not w[4] then redis.call('HSET', hash, 'deaths', (tonumber(f[6] or '0') or 0) + 1) end
      if f[3] then
        redis.call('ZADD', priority, f[3], held_id)
        redis.call('RPUSH', waiting, '*')
      else
        redis.call('RPUSH', waiting, held_id)
      end
      to_waiting = to_waiting + 1
    end
    if f[10] then departed(held_id, f[10], spent and 'dead' or 'recovered') end
  end
end
redis.call('LTRIM', active, #found, -1)
if #found > 0 then redis.call('HINCRBY', stats, 'recovered', #found) end
if by_crash > 0 then redis.call('HINCRBY', stats, 'dead_by_crash', by_crash) end
if length == #found then
  redis.call('ZREM', workers, id)
  redis.call('HDEL', suspected, id)
  if in_slot == id then redis.call('HDEL', slots, w[7]) end
  redis.call('UNLINK', worker)
end
return {'dead', to_waiting, to_dead, length - #found, reason, w[4] and 1 or 0, taken}
