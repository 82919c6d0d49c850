-- read_tasks: read-only; the records of given ids, or of the tasks in one state: a step of a walk, bounded
-- KEYS[1] waiting (LIST)   KEYS[2] handed (LIST)   KEYS[3] priority (ZSET)   KEYS[4] delayed (ZSET)   KEYS[5] dead (ZSET)
-- KEYS[6] completed (ZSET) KEYS[7] workers (ZSET)  KEYS[8] task: (prefix of HASH)   KEYS[9] active: (prefix of LIST)
-- KEYS[10] blocked (ZSET)  KEYS[11] result: (prefix of STRING)
-- ARGV[1] state ('' = the ids that follow)   ARGV[2] how many to pass over   ARGV[3] limit
-- ARGV[4] where to go on ('' = at the beginning), then ids
-- Returns {where to go on ('' = that was all), how many are still to be passed over, ids that were taken},
--         then one array per task: {id, run at (epoch ms, 0 = not delayed), field, value...}; of given ids `kept` is a field, too
-- Order: whose turn is next first; of blocked the longest blocked first; of dead and completed the newest first; of active by worker.
-- Fewer than the limit are taken where much lies before them: a step reads so many entries or workers, and the next one goes on.
local waiting, handed, priority, delayed, dead, completed, workers, task, active, blocked, result = unpack(KEYS)
local state, over, limit, place = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local ENTRIES, WORKERS = 5000, 500

local ids, go_on = {}, ''
local function take(found)
  for _, id in ipairs(found) do ids[#ids + 1] = id end
end
local function pass(count) -- of so many entries those that are still to be passed over
  local passed = math.min(over, count)
  over = over - passed
  return passed
end
local SORTED = {
  delayed = function(first, last) return redis.call('ZRANGE', delayed, first, last) end,
  blocked = function(first, last) return redis.call('ZRANGE', blocked, first, last) end,
  dead = function(first, last) return redis.call('ZREVRANGE', dead, first, last) end,
  completed = function(first, last) return redis.call('ZREVRANGE', completed, first, last) end,
}

-- One list behind the other: what has a priority, what was handed over, what waits; a marker stands for the former.
-- A place is a part and how many of its entries were read.
local function walk_waiting()
  local part, at = string.match(place, '^(%d+) (%d+)$')
  part, at = tonumber(part or 1), tonumber(at or 0)
  local ranked, left = redis.call('ZCARD', priority), ENTRIES
  if part == 1 then
    at = at + pass(math.max(0, ranked - at))
    take(redis.call('ZRANGE', priority, at, at + limit - 1))
    at = at + #ids
    if at >= ranked then part, at = 2, 0 end
  end
  while part > 1 and part < 4 and #ids < limit and left > 0 do
    local list = part == 2 and handed or waiting
    -- Without priorities there are no markers, and what is passed over need not be read.
    if ranked == 0 then at = at + pass(math.max(0, redis.call('LLEN', list) - at)) end
    local most = math.min(left, over + limit - #ids + (ranked > 0 and 100 or 0))
    local front = redis.call('LRANGE', list, -at - most, -at - 1)
    for i = #front, 1, -1 do
      if #ids == limit then break end
      at = at + 1
      if front[i] ~= '*' then
        if over > 0 then over = over - 1 else ids[#ids + 1] = front[i] end
      end
    end
    left = left - #front
    if #ids < limit and #front < most then part, at = part + 1, 0 end
  end
  return part < 4 and part .. ' ' .. at or ''
end

-- The longest silent worker first. Who beats goes to the end and is met again there, so nothing that is held is left out.
-- A place is a deadline, how many with that one were passed, how much was read of the next one's list, and its id.
local function walk_active()
  local from, tied, read, last = string.match(place, '^(%S+) (%d+) (%d+) (.*)$')
  from, tied, read = from or '-inf', tonumber(tied or 0), tonumber(read or 0)
  local found = redis.call('ZRANGEBYSCORE', workers, from, '+inf', 'WITHSCORES', 'LIMIT', tied, WORKERS)
  for i = 1, #found, 2 do
    local worker = found[i]
    if found[i + 1] ~= from then from, tied = found[i + 1], 0 end
    local at, holds = worker == last and read or 0, redis.call('LLEN', active .. worker)
    at = at + pass(math.max(0, holds - at))
    if at < holds then
      local held = redis.call('LRANGE', active .. worker, at, at + limit - #ids - 1)
      take(held)
      at = at + #held
    end
    if #ids == limit then return from .. ' ' .. tied .. ' ' .. at .. ' ' .. worker end
    tied = tied + 1
  end
  return #found < 2 * WORKERS and '' or from .. ' ' .. tied .. ' 0 '
end

if state == '' then
  take({unpack(ARGV, 5)})
elseif state == 'waiting' then
  go_on = walk_waiting()
elseif state == 'active' then
  go_on = walk_active()
elseif SORTED[state] then
  local first = tonumber(place) or over
  take(SORTED[state](first, first + limit - 1))
  over = 0
  if #ids == limit then go_on = tostring(first + limit) end
end

local reply, seen = {{go_on, over, #ids}}, {}
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
