-- speak: a queue's protocol number follows the scheduler's, upwards
-- KEYS[1] config (HASH)   KEYS[2] workers (ZSET)   KEYS[3] worker: (prefix of HASH)
-- ARGV[1] protocol number of the scheduler
-- Returns {'ok', number that counts now (0 = nobody has come yet)}, {'protocol', number found in Redis}
--      or {'worker', number that a registered worker speaks}: nothing was changed, the caller keeps away from the queue
-- So each step of an upgrade is one number: a scheduler waits for the last worker that is two behind it. A worker that
-- does not say speaks 1. The loop is over registered workers.
local config, workers, worker = unpack(KEYS)
local ours = tonumber(ARGV[1])

local theirs = tonumber(redis.call('HGET', config, 'protocol') or '')
if theirs and math.abs(theirs - ours) > 1 then return {'protocol', theirs} end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', workers, '(0', '+inf')) do
  local says = redis.pcall('HGET', worker .. id, 'protocol')
  local number = type(says) == 'string' and tonumber(says) or 1
  if math.abs(number - ours) > 1 then return {'worker', number} end
end
if theirs and theirs < ours then redis.call('HSET', config, 'protocol', ARGV[1]) end
return {'ok', theirs and math.max(theirs, ours) or 0}
