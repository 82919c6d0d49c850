-- read_tasks: read-only; the records of given ids, or of the tasks in one state (bounded)
-- KEYS[1] waiting (LIST)   KEYS[2] handed (LIST)   KEYS[3] priority (ZSET)   KEYS[4] delayed (ZSET)   KEYS[5] dead (ZSET)
-- KEYS[6] completed (ZSET) KEYS[7] workers (ZSET)  KEYS[8] task: (prefix of HASH)   KEYS[9] active: (prefix of LIST)
-- ARGV[1] state ('' = the ids that follow)   ARGV[2] offset   ARGV[3] limit, then ids
-- Returns one array per task: {id, run at (epoch ms, 0 = not delayed), field, value...}
-- Order: whose turn is next first; of dead and completed the newest first; of active by worker.
local waiting, handed, priority, delayed, dead, completed, workers, task, active = unpack(KEYS)
local state, offset, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local ids = {}
local function add(found)
  for _, id in ipairs(found) do
    if id ~= '*' then ids[#ids + 1] = id end
  end
end
local last = offset + limit - 1
if state == '' then
  add({unpack(ARGV, 4)})
elseif state == 'waiting' then
  add(redis.call('ZRANGE', priority, 0, last))
  for _, list in ipairs({handed, waiting}) do
    local front, turned = redis.call('LRANGE', list, -limit - offset, -1), {}
    for i = #front, 1, -1 do turned[#turned + 1] = front[i] end
    add(turned)
  end
elseif state == 'active' then
  for _, worker in ipairs(redis.call('ZRANGE', workers, 0, -1)) do
    if #ids > last then break end
    add(redis.call('LRANGE', active .. worker, 0, last))
  end
elseif state == 'delayed' then add(redis.call('ZRANGE', delayed, 0, last))
elseif state == 'dead' then add(redis.call('ZREVRANGE', dead, 0, last))
elseif state == 'completed' then add(redis.call('ZREVRANGE', completed, 0, last)) end

local reply, seen = {}, {}
local first = state == '' and 1 or offset + 1
for i = first, state == '' and #ids or math.min(#ids, offset + limit) do
  local row = {ids[i], tonumber(redis.call('ZSCORE', delayed, ids[i]) or '0')}
  local record, moved = redis.pcall('HGETALL', task .. ids[i]), false
  if record.err then record = {'error', 'its record is no hash', 'state', state} end
  for j = 1, #record, 2 do
    row[j + 2], row[j + 3] = record[j], record[j + 1]
    if record[j] == 'state' then moved = record[j + 1] ~= state end
  end
  -- Behind a cancelled task its id may still stand in the list, as a ghost; the same id may be in use again elsewhere.
  local ghost = state == 'waiting' and (moved or seen[ids[i]])
  if #record > 0 and not ghost then reply[#reply + 1] = row end
  seen[ids[i]] = true
end
return reply
