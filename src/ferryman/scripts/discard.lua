-- discard: waiting | delayed | blocked | dead -> gone; also forgets kept statuses of completed (bounded batch)
-- KEYS[1] waiting (LIST)   KEYS[2] priority (ZSET)   KEYS[3] delayed (ZSET)   KEYS[4] dead (ZSET)
-- KEYS[5] completed (ZSET) KEYS[6] stats (HASH)      KEYS[7] task: (prefix of HASH)   KEYS[8] unique: (prefix of STRING)
-- KEYS[9] blocked (ZSET)   KEYS[10] the queue's root (prefix)
-- ARGV[1] state ('' = any but completed)   ARGV[2] limit, then the ids; none = from the front of that state
-- Returns {left in that state (0 for any), then 2 per id: id, what was found: waiting, delayed, blocked, dead, completed = gone now;
--          'active', 'other' or 'missing' = left alone, as are 'completed' and 'discarded' when any state was asked for}
-- A waiting id in the middle of the list leaves its entry behind as a ghost, which fetch drops: no search of a long list.
local waiting, priority, delayed, dead, completed, stats, task, unique, blocked = unpack(KEYS)
local wanted, limit = ARGV[1], tonumber(ARGV[2])
-- part: departure
local sets = {delayed = delayed, blocked = blocked, dead = dead, completed = completed, discarded = completed}
local kept_only = {completed = true, discarded = true} -- its end is counted already, and this forgets its status

for _, count in ipairs(redis.call('HMGET', stats, 'ghosts', 'discarded', 'parked')) do
  if count and not string.find(count, '^%-?%d+$') then return redis.error_reply('REFUSED a counter in stats is no whole number') end
end
local length = redis.call('LLEN', waiting)
local ranked = redis.call('ZCARD', priority)
for _, set in pairs(sets) do redis.call('ZCARD', set) end

-- What is to go: {id, state, unique key it owns, parked, its entry is taken from the list's front, marks}
local found, reply, seen, ghosts, from_front = {}, {0}, {}, 0, 0
local function read(id, at_front)
  local f = redis.pcall('HMGET', task .. id, 'state', 'unique', 'parked', 'marks', 'lane')
  -- A record that is no hash can go too: it stands where it was read from.
  if f.err then return {id, at_front and 'waiting' or redis.call('ZSCORE', dead, id) and 'dead', false, false, at_front} end
  local owner = f[2] and redis.pcall('GET', unique .. f[2])
  return {id, f[1], owner == id and f[2], f[3], at_front, f[4], f[5]}
end
if #ARGV > 2 then
  for i = 3, #ARGV do
    local entry = read(ARGV[i], false)
    local state = entry[2] or 'missing'
    reply[#reply + 1] = ARGV[i]
    if seen[ARGV[i]] then
      reply[#reply + 1] = 'missing'
    elseif state == 'active' or state == 'missing' or (wanted == '' and kept_only[state]) then
      reply[#reply + 1] = state
    elseif wanted ~= '' and state ~= wanted or state ~= 'waiting' and not sets[state] then
      reply[#reply + 1] = 'other'
    else
      reply[#reply + 1] = state
      found[#found + 1] = entry
      seen[ARGV[i]] = true
    end
  end
elseif wanted == 'waiting' then
  local front = redis.call('LRANGE', waiting, -limit, -1)
  local next_ranked, order = 0, redis.call('ZRANGE', priority, 0, limit - 1)
  for i = #front, 1, -1 do
    local id = front[i]
    if id == '*' then
      next_ranked = next_ranked + 1
      id = order[next_ranked]
    end
    local entry = id and not seen[id] and read(id, true)
    -- A record with no known state is damaged, and belongs where it stands.
    if entry and entry[2] and entry[2] ~= 'active' and not sets[entry[2]] then entry[2] = 'waiting' end
    if entry and entry[2] == 'waiting' then
      found[#found + 1] = entry
      seen[id] = true
    else
      ghosts = ghosts + 1
    end
  end
  from_front = #front
elseif sets[wanted] and wanted ~= 'discarded' then
  for _, id in ipairs(redis.call('ZRANGE', sets[wanted], 0, limit - 1)) do
    local entry = read(id, false)
    if not kept_only[entry[2]] then entry[2] = wanted end
    found[#found + 1] = entry
  end
else
  return redis.error_reply('REFUSED only waiting, delayed, blocked, dead and completed can be discarded, not ' .. wanted)
end

if from_front > 0 then redis.call('LTRIM', waiting, 0, -from_front - 1) end
local gone, unparked = 0, 0
for _, entry in ipairs(found) do
  local id, state, key, parked, at_front, marks, lane = unpack(entry, 1, 7)
  if state == 'waiting' then
    redis.call('ZREM', priority, id)
    if not at_front then ghosts = ghosts - 1 end
  else
    redis.call('ZREM', sets[state], id)
  end
  if key then redis.call('DEL', unique .. key) end
  redis.call('UNLINK', task .. id)
  if not kept_only[state] then gone = gone + 1 end
  if parked then unparked = unparked + 1 end
  if marks and not kept_only[state] then departed(id, marks, 'discarded', lane) end
  if #ARGV == 2 then
    reply[#reply + 1] = id
    reply[#reply + 1] = state
  end
end
if ghosts ~= 0 then redis.call('HINCRBY', stats, 'ghosts', -ghosts) end
if gone > 0 then redis.call('HINCRBY', stats, 'discarded', gone) end
if unparked > 0 then redis.call('HINCRBY', stats, 'parked', -unparked) end
if wanted == 'waiting' then reply[1] = redis.call('LLEN', waiting)
elseif sets[wanted] then reply[1] = redis.call('ZCARD', sets[wanted]) end
return reply
