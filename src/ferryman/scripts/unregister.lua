-- unregister: a worker that holds nothing leaves
-- KEYS[1] workers (ZSET)   KEYS[2] worker (HASH)   KEYS[3] active of the worker (LIST)   KEYS[4] slots (HASH)   KEYS[5] suspected (HASH)
-- ARGV[1] worker id
-- Returns 1, or 0 while it still holds tasks: it stays, and is recovered when its deadline passes
local workers, worker, active, slots, suspected = unpack(KEYS)
local id = ARGV[1]

if redis.call('LLEN', active) > 0 then return 0 end
local slot = redis.call('HGET', worker, 'slot')
local holder = slot and slot ~= '' and redis.call('HGET', slots, slot)
redis.call('ZCARD', workers)
redis.call('HLEN', suspected)

redis.call('ZREM', workers, id)
redis.call('HDEL', suspected, id)
if holder == id then redis.call('HDEL', slots, slot) end
redis.call('UNLINK', worker)
return 1
