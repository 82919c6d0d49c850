-- retry: active -> delayed; an attempt is spent unless told otherwise
-- KEYS[1] active of the worker (LIST)   KEYS[2] workers (ZSET)   KEYS[3] delayed (ZSET)   KEYS[4] stats (HASH)
-- KEYS[5] task: (prefix of HASH)        KEYS[6] the queue's root (prefix)
-- ARGV[1] worker id  ARGV[2] id  ARGV[3] token  ARGV[4] delay (ms)  ARGV[5] 1 = spend an attempt
-- ARGV[6] error text ('' = none)  ARGV[7] run time (ms)
-- ARGV[8] parked, as this worker can't run it: 1 = counted, 2 = not counted, since a living worker can
-- A run that ended is added to the task's history; one that was parked never began.
-- Returns 'ok', 'cancelled' (somebody has cancelled it, so it ended instead), 'not_held' or 'unregistered'
local active, workers, delayed, stats, task = unpack(KEYS)
local me, id, token, delay_ms, spend, err, run_ms, park = unpack(ARGV)
local hash = task .. id
-- part: cut_short

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

if tonumber(redis.call('ZSCORE', workers, me) or '0') <= 0 then return 'unregistered' end
redis.call('LLEN', active)
redis.call('ZCARD', delayed)
for _, count in ipairs(redis.call('HMGET', stats, 'failed', 'retried', 'unspent', 'parked', 'run_ms')) do
  if count and not string.find(count, '^%-?%d+$') then return redis.error_reply('REFUSED a counter in stats is no whole number') end
end
local f = redis.pcall('HMGET', hash, 'state', 'worker', 'deliveries', 'attempt', 'parks', 'since_ms', 'history', 'marks')
if f[1] ~= 'active' or f[2] ~= me or f[3] ~= token then return 'not_held' end
local attempt, parks = tonumber(f[4] or '0') or 0, tonumber(f[5] or '0') or 0
if is_cancelled(f[8]) then return cut_short_run(active, id, now, {me, tonumber(run_ms), err}) end

redis.call('LREM', active, -1, id)
redis.call('ZADD', delayed, now + tonumber(delay_ms), id)
redis.call('HSET', hash, 'state', 'delayed', 'since_ms', now)
redis.call('HDEL', hash, 'worker')
if err ~= '' then redis.call('HSET', hash, 'error', err) end
if park == '1' or park == '2' then
  redis.call('HSET', hash, 'parked', 1)
  if park == '1' then redis.call('HSET', hash, 'parks', parks + 1) end
  redis.call('HINCRBY', stats, 'parked', 1)
else
  if spend == '1' then
    redis.call('HSET', hash, 'attempt', attempt + 1)
    redis.call('HINCRBY', stats, 'failed', 1)
  else
    redis.call('HINCRBY', stats, 'unspent', 1)
  end
  redis.call('HSET', hash, 'history', remembered(f[7], me, attempt + 1, f[6], now, tonumber(run_ms), 'retried', err))
  redis.call('HDEL', hash, 'deaths')
  redis.call('HINCRBY', stats, 'retried', 1)
  redis.call('HINCRBY', stats, 'run_ms', run_ms)
end
if f[8] then departed(id, f[8], 'retried') end
return 'ok'
