-- glance: read-only; a few words of each task that a worker holds, or that is dead (bounded, whatever the tasks carry)
-- KEYS[1] ids (active of a worker: LIST; dead: ZSET)   KEYS[2] task: (prefix of HASH)
-- ARGV[1] 'active' | 'dead'   ARGV[2] offset   ARGV[3] limit   ARGV[4] most bytes of a task's error
-- Returns {now (ms), how many there are, one array per task: {id, name, attempts spent, crashes, since (ms), error, progress}}
-- Order: of a worker's tasks the longest held first, of dead ones the newest first.
local ids, task = KEYS[1], KEYS[2]
local state, offset, limit, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local page, total = {}, 0
if state == 'active' then
  total = redis.call('LLEN', ids)
  local held = redis.call('LRANGE', ids, -offset - limit, -offset - 1)
  for i = #held, 1, -1 do page[#page + 1] = held[i] end
else
  total = redis.call('ZCARD', ids)
  page = redis.call('ZREVRANGE', ids, offset, offset + limit - 1)
end

local reply = {now, total}
for i, id in ipairs(page) do
  local f = redis.pcall('HMGET', task .. id, 'name', 'attempt', 'crashes', 'since_ms', 'error', 'progress')
  if f.err then f = {'', '', '', '', 'its record is no hash', ''} end
  reply[i + 2] = {id, f[1] or '', f[2] or '', f[3] or '', f[4] or '', string.sub(f[5] or '', 1, most), string.sub(f[6] or '', 1, 2000)}
end
return reply
