-- hint_gone: somebody saw the worker's container end; its deadline shrinks to two silent beats
-- KEYS[1] workers (ZSET)   KEYS[2] worker (HASH)
-- ARGV[1] worker id   ARGV[2] reason   ARGV[3] 1 = announced disruption: no crash is charged
-- Returns 1, or 0 when the worker is not registered. A wrong hint is harmless: the next beat moves the deadline on.
local workers, worker = unpack(KEYS)

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local deadline = tonumber(redis.call('ZSCORE', workers, ARGV[1]) or '0')
if deadline <= 0 then return 0 end
local beat_ms = tonumber(redis.call('HGET', worker, 'beat_ms') or '1000') or 1000

redis.call('ZADD', workers, math.min(deadline, now + 2 * beat_ms), ARGV[1])
redis.call('HSET', worker, 'hint', ARGV[2])
redis.call('HDEL', worker, 'vouched_until_ms')
if ARGV[3] == '1' then redis.call('HSET', worker, 'exempt', 1) end
return 1
