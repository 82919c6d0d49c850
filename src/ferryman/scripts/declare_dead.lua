-- declare_dead: a worker's end is proven, so it need not be waited for: its tasks may be recovered at once
-- KEYS[1] workers (ZSET)   KEYS[2] worker (HASH)
-- ARGV[1] worker id   ARGV[2] how it is known, unless a hint said more; who saw its end may still say more (hint_gone)
-- Returns 1, or 0 when it is not registered (any more). Harmless to repeat, however late: nobody comes back under a used id.
local workers, worker = unpack(KEYS)

redis.call('HLEN', worker)
if not redis.call('ZSCORE', workers, ARGV[1]) then return 0 end

redis.call('ZADD', workers, 0, ARGV[1])
if redis.call('HSETNX', worker, 'hint', ARGV[2]) == 1 then redis.call('HSET', worker, 'untold', 1) end
return 1
