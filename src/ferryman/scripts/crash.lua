-- crash: active -> front of waiting, or dead: the process that ran this one task died; its worker lives, and says so
-- KEYS[1] active of the worker (LIST)   KEYS[2] workers (ZSET)   KEYS[3] worker (HASH)    KEYS[4] waiting (LIST)
-- KEYS[5] priority (ZSET)               KEYS[6] dead (ZSET)      KEYS[7] config (HASH)    KEYS[8] task: (prefix of HASH)
-- KEYS[9] unique: (prefix of STRING)    KEYS[10] stats (HASH)   KEYS[11] the queue's root (prefix)
-- ARGV[1] worker id   ARGV[2] id   ARGV[3] token   ARGV[4] how the process ended
-- The run is added to the task's history.
-- Returns 'ok', 'dead' (its crash budget is spent), 'cancelled' (somebody has cancelled it, so it ended), 'not_held' or 'unregistered'
-- It spends the crash budget and no attempt. Nothing else ran in that process, so there is nobody else to suspect.
local active, workers, worker, waiting, priority, dead, config, task, unique, stats = unpack(KEYS)
local me, id, token, reason = unpack(ARGV)
local hash = task .. id
-- part: cut_short

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

if tonumber(redis.call('ZSCORE', workers, me) or '0') <= 0 then return 'unregistered' end
redis.call('LLEN', active)
redis.call('LLEN', waiting)
redis.call('ZCARD', priority)
redis.call('ZCARD', dead)
local counted = redis.call('HGET', stats, 'dead_by_crash')
if counted and not string.find(counted, '^%-?%d+$') then return redis.error_reply('REFUSED a counter in stats is no whole number') end
local pod = redis.call('HGET', worker, 'pod') or ''
local crashes_max = tonumber(redis.call('HGET', config, 'crashes_max') or '3') or 3
local f = redis.pcall('HMGET', hash, 'state', 'worker', 'deliveries', 'crashes', 'score', 'unique', 'evidence', 'attempt', 'since_ms',
  'history', 'marks')
if f[1] ~= 'active' or f[2] ~= me or f[3] ~= token then return 'not_held' end
if is_cancelled(f[11]) then return cut_short_run(active, id, now, {me, nil, reason}) end
local crashes = (tonumber(f[4] or '0') or 0) + 1
local score = f[5] and string.match(f[5], '^%-?%d+$')
local owner = f[6] and redis.pcall('GET', unique .. f[6])
local proof = cjson.encode({worker = me, pod = pod, reason = reason, at_ms = string.format('%.0f', now), held = 1})

redis.call('LREM', active, -1, id)
redis.call('HSET', hash, 'crashes', crashes, 'evidence', (f[7] and f[7] .. '\n' or '') .. proof, 'since_ms', now, 'history',
  remembered(f[10], me, (tonumber(f[8] or '0') or 0) + 1, f[9], now, nil, crashes >= crashes_max and 'dead' or 'crashed', reason))
redis.call('HDEL', hash, 'worker')
if crashes >= crashes_max then
  redis.call('ZADD', dead, now, id)
  redis.call('HSET', hash, 'state', 'dead', 'finished_ms', now, 'error', 'its process died ' .. crashes .. ' times: ' .. reason)
  if owner == id then redis.call('DEL', unique .. f[6]) end
  redis.call('HINCRBY', stats, 'dead_by_crash', 1)
  if f[11] then departed(id, f[11], 'dead') end
  return 'dead'
else
  redis.call('HSET', hash, 'state', 'waiting', 'error', reason)
  if score then
    redis.call('ZADD', priority, score, id)
    redis.call('RPUSH', waiting, '*')
  else
    redis.call('RPUSH', waiting, id)
  end
end
if f[11] then departed(id, f[11], 'recovered') end
return 'ok'
