-- holding: read-only; what a worker's active list holds, the oldest first
-- KEYS[1] active of the worker (LIST)   KEYS[2] task: (prefix of HASH)
-- ARGV[1] limit
-- Returns 2 per task: id, token
local reply = {}
local ids = redis.call('LRANGE', KEYS[1], -tonumber(ARGV[1]), -1)
for i = #ids, 1, -1 do
  reply[#reply + 1] = ids[i]
  local token = redis.pcall('HGET', KEYS[2] .. ids[i], 'deliveries')
  reply[#reply + 1] = type(token) == 'string' and string.match(token, '^%d+$') or '0'
end
return reply
