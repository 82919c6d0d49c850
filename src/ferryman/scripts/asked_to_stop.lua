-- asked_to_stop: read-only; which of the tasks that a worker holds somebody has cancelled
-- KEYS[1] task: (prefix of HASH)
-- ARGV[1] worker id, then the ids that it holds
-- Returns the ids with mark 'c'
local task = KEYS[1]

local reply = {}
for i = 2, #ARGV do
  local f = redis.pcall('HMGET', task .. ARGV[i], 'state', 'worker', 'marks')
  if f[1] == 'active' and f[2] == ARGV[1] and string.find(f[3] or '', 'c', 1, true) then reply[#reply + 1] = ARGV[i] end
end
return reply
