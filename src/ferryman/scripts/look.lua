-- look: read-only; the workers whose deadline has passed, the longest silent first
-- KEYS[1] workers (ZSET)
-- ARGV[1] limit
-- Returns worker ids
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
