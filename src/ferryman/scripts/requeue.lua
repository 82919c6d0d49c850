-- requeue: active -> front of waiting, nothing spent (a batch): SIGTERM, look-ahead that will not be started
-- KEYS[1] active of the worker (LIST)   KEYS[2] workers (ZSET)   KEYS[3] waiting (LIST)   KEYS[4] priority (ZSET)
-- KEYS[5] task: (prefix of HASH)        KEYS[6] the queue's root (prefix)
-- One that somebody has cancelled ends here instead.
-- ARGV[1] worker id, then 2 per task, the oldest last so that it stands first again: id, token
-- Returns {'ok', ids that this worker no longer holds by that token...} or {'unregistered'}
local active, workers, waiting, priority, task = unpack(KEYS)
local me = ARGV[1]
-- part: cut_short

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

if tonumber(redis.call('ZSCORE', workers, me) or '0') <= 0 then return {'unregistered'} end
redis.call('LLEN', active)
redis.call('LLEN', waiting)
redis.call('ZCARD', priority)
local moved, cancelled, seen, reply = {}, {}, {}, {'ok'}
for i = 2, #ARGV, 2 do
  local id = ARGV[i]
  local f = redis.pcall('HMGET', task .. id, 'state', 'worker', 'deliveries', 'score', 'marks')
  if f[1] == 'active' and f[2] == me and f[3] == ARGV[i + 1] and not seen[id] then
    local list = is_cancelled(f[5]) and cancelled or moved
    list[#list + 1] = {id, f[4] and string.match(f[4], '^%-?%d+$'), f[5]}
    seen[id] = true
  else
    reply[#reply + 1] = id
  end
end
if #cancelled > 0 then
  local damage = cannot_cut_short()
  if damage then return damage end
end

for _, entry in ipairs(cancelled) do
  redis.call('LREM', active, -1, entry[1])
  cut_short(entry[1], 'cancelled', now, {me, nil, 'it was cancelled'})
end
for _, entry in ipairs(moved) do
  local id, score = entry[1], entry[2]
  redis.call('LREM', active, -1, id)
  redis.call('HSET', task .. id, 'state', 'waiting', 'since_ms', now)
  redis.call('HDEL', task .. id, 'worker')
  if score then
    redis.call('ZADD', priority, score, id)
    redis.call('RPUSH', waiting, '*')
  else
    redis.call('RPUSH', waiting, id)
  end
  if entry[3] then departed(id, entry[3], 'requeued') end
end
return reply
