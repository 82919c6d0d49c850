-- progress: how far running tasks have come, as their handlers say (a batch)
-- KEYS[1] task: (prefix of HASH)
-- ARGV[1] worker id, then 3 per task: id, token, progress (JSON)
-- Returns how many this worker still holds by that token; the others are left alone
local task = KEYS[1]

local clock = redis.call('TIME')
local at = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))

local written = 0
for i = 2, #ARGV, 3 do
  local hash = task .. ARGV[i]
  local f = redis.pcall('HMGET', hash, 'state', 'worker', 'deliveries')
  if f[1] == 'active' and f[2] == ARGV[1] and f[3] == ARGV[i + 1] then
    redis.call('HSET', hash, 'progress', ARGV[i + 2], 'progress_ms', at)
    written = written + 1
  end
end
return written
