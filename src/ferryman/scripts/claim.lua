-- claim: one TaskQueue owns a queue; a second of the same name on the same Redis is told who does
-- KEYS[1] config (HASH)
-- ARGV[1] uid   ARGV[2] who (cluster/namespace/name)   ARGV[3] lease (ms, 0 = give the claim up)
-- Returns {1 granted | 0 another's, who holds it now}
local config = KEYS[1]

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local claim = redis.call('HMGET', config, 'claim_uid', 'claim_owner', 'claim_until_ms')
if claim[1] and claim[1] ~= ARGV[1] and tonumber(claim[3] or '0') > now then return {0, claim[2] or ''} end
if ARGV[3] == '0' then
  redis.call('HDEL', config, 'claim_uid', 'claim_owner', 'claim_until_ms')
  return {1, ''}
end
redis.call('HSET', config, 'claim_uid', ARGV[1], 'claim_owner', ARGV[2], 'claim_until_ms', now + tonumber(ARGV[3]))
return {1, ARGV[2]}
