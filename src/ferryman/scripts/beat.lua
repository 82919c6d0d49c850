-- beat: a worker moves its promised deadline on; a hint that it is gone was wrong, then, and is forgotten
-- KEYS[1] workers (ZSET)   KEYS[2] worker (HASH)   KEYS[3] active of the worker (LIST)   KEYS[4] config (HASH)
-- ARGV[1] worker id   ARGV[2] timeout (ms)
-- Returns {1 registered | 0 declared dead, length of active, 1 = queue on hold, 1 = draining, generation of config, now (ms),
--          when somebody last cancelled one of its tasks (us, 0 = nobody has)}
local workers, worker, active, config = unpack(KEYS)

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local deadline = tonumber(redis.call('ZSCORE', workers, ARGV[1]) or '0')
local settings = redis.call('HMGET', config, 'hold', 'generation')
local known = redis.call('HMGET', worker, 'drain_until_ms', 'hint', 'cancelled_at_us')
local drain = tonumber(known[1] or '0') or 0
local held = redis.call('LLEN', active)
if deadline > 0 then
  redis.call('ZADD', workers, now + tonumber(ARGV[2]), ARGV[1])
  if known[2] then redis.call('HDEL', worker, 'hint', 'exempt') end
end
return {deadline > 0 and 1 or 0, held, settings[1] == '1' and 1 or 0, drain > now and 1 or 0, tonumber(settings[2] or '0') or 0, now,
  tonumber(known[3] or '0') or 0}
