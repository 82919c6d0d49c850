-- dead_letter: active -> dead; a person decides
-- KEYS[1] active of the worker (LIST)   KEYS[2] workers (ZSET)   KEYS[3] dead (ZSET)   KEYS[4] stats (HASH)
-- KEYS[5] task: (prefix of HASH)        KEYS[6] unique: (prefix of STRING)   KEYS[7] the queue's root (prefix)
-- ARGV[1] worker id   ARGV[2] id   ARGV[3] token   ARGV[4] error text   ARGV[5] run time (ms)
-- The run is added to the task's history.
-- Returns 'ok', 'cancelled' (somebody has cancelled it, so nobody need decide), 'not_held' or 'unregistered'
local active, workers, dead, stats, task, unique = unpack(KEYS)
local me, id, token, err, run_ms = unpack(ARGV)
local hash = task .. id
-- part: cut_short

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

if tonumber(redis.call('ZSCORE', workers, me) or '0') <= 0 then return 'unregistered' end
redis.call('LLEN', active)
redis.call('ZCARD', dead)
for _, count in ipairs(redis.call('HMGET', stats, 'failed', 'run_ms')) do
  if count and not string.find(count, '^%-?%d+$') then return redis.error_reply('REFUSED a counter in stats is no whole number') end
end
local f = redis.pcall('HMGET', hash, 'state', 'worker', 'deliveries', 'attempt', 'unique', 'since_ms', 'history', 'marks')
if f[1] ~= 'active' or f[2] ~= me or f[3] ~= token then return 'not_held' end
local attempt = tonumber(f[4] or '0') or 0
if is_cancelled(f[8]) then return cut_short_run(active, id, now, {me, tonumber(run_ms), err}) end
local owner = f[5] and redis.pcall('GET', unique .. f[5])

redis.call('LREM', active, -1, id)
redis.call('ZADD', dead, now, id)
redis.call('HSET', hash, 'state', 'dead', 'since_ms', now, 'finished_ms', now, 'attempt', attempt + 1, 'error', err,
  'history', remembered(f[7], me, attempt + 1, f[6], now, tonumber(run_ms), 'dead', err))
redis.call('HDEL', hash, 'worker', 'deaths')
if owner == id then redis.call('DEL', unique .. f[5]) end
redis.call('HINCRBY', stats, 'failed', 1)
redis.call('HINCRBY', stats, 'run_ms', run_ms)
if f[8] then departed(id, f[8], 'dead') end
return 'ok'
