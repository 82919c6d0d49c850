-- read_tasks: read-only; the records of given ids, or of the tasks in one state (bounded)
-- KEYS[1] waiting (LIST)   KEYS[2] handed (LIST)   KEYS[3] priority (ZSET)   KEYS[4] delayed (ZSET)   KEYS[5] dead (ZSET)
-- KEYS[6] completed (ZSET) KEYS[7] workers (ZSET)  KEYS[8] task: (prefix of HASH)   KEYS[9] active: (prefix of LIST)
-- KEYS[10] blocked (ZSET)  KEYS[11] result: (prefix of STRING)
-- ARGV[1] state ('' = the ids that follow)   ARGV[2] offset   ARGV[3] limit, then ids
-- Returns one array per task: {id, run at (epoch ms, 0 = not delayed), field, value...}; of given ids `kept` is a field, too
-- Order: whose turn is next first; of blocked the longest blocked first; of dead and completed the newest first; of active by worker.
local waiting, handed, priority, delayed, dead, completed, workers, task, active, blocked, result = unpack(KEYS)
local state, offset, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

-- Only the page is collected; `passed` tasks stand before it.
local ids, passed, last = {}, 0, offset + limit - 1
local function add(found)
  for _, id in ipairs(found) do ids[#ids + 1] = id end
end
if state == '' then
  add({unpack(ARGV, 4)})
elseif state == 'waiting' then
  add(redis.call('ZRANGE', priority, offset, last))
  local ranked = redis.call('ZCARD', priority)
  passed = math.min(ranked, offset)
  for _, list in ipairs({handed, waiting}) do
    -- Without priorities there are no markers, and what stands before the page need not be read.
    local unread = ranked == 0 and math.min(offset - passed, redis.call('LLEN', list)) or 0
    passed = passed + unread
    local most = unread + offset - passed + limit + math.min(ranked, last + 1)
    local front, n = redis.call('LRANGE', list, -most, -unread - 1), #ids
    for i = #front, 1, -1 do
      if n == limit then break end
      if front[i] ~= '*' then
        if passed < offset then passed = passed + 1
        else
          n = n + 1
          ids[n] = front[i]
        end
      end
    end
  end
elseif state == 'active' then
  for _, worker in ipairs(redis.call('ZRANGE', workers, 0, -1)) do
    if #ids >= limit then break end
    local before = math.min(offset - passed, redis.call('LLEN', active .. worker))
    passed = passed + before
    add(redis.call('LRANGE', active .. worker, before, before + limit - #ids - 1))
  end
elseif state == 'delayed' then add(redis.call('ZRANGE', delayed, offset, last))
elseif state == 'blocked' then add(redis.call('ZRANGE', blocked, offset, last))
elseif state == 'dead' then add(redis.call('ZREVRANGE', dead, offset, last))
elseif state == 'completed' then add(redis.call('ZREVRANGE', completed, offset, last)) end

local reply, seen = {}, {}
for i = 1, #ids do
  local row = {ids[i], tonumber(redis.call('ZSCORE', delayed, ids[i]) or '0')}
  local record, moved = redis.pcall('HGETALL', task .. ids[i]), false
  if record.err then record = {'error', 'its record is no hash', 'state', state} end
  for j = 1, #record, 2 do
    row[j + 2], row[j + 3] = record[j], record[j + 1]
    if record[j] == 'state' then moved = record[j + 1] ~= state end
  end
  local kept = #record > 0 and state == '' and redis.pcall('GET', result .. ids[i])
  if type(kept) == 'string' then row[#row + 1], row[#row + 2] = 'kept', kept end
  -- Behind a cancelled task its id may still stand in the list, as a ghost; the same id may be in use again elsewhere.
  local ghost = state == 'waiting' and (moved or seen[ids[i]])
  if #record > 0 and not ghost then reply[#reply + 1] = row end
  seen[ids[i]] = true
end
return reply
