-- enqueue: new -> waiting | delayed | blocked (a batch)
-- KEYS[1] waiting (LIST)    KEYS[2] delayed (ZSET)   KEYS[3] priority (ZSET)  KEYS[4] stats (HASH)
-- KEYS[5] config (HASH)     KEYS[6] task: (prefix of HASH)                    KEYS[7] unique: (prefix of STRING)
-- KEYS[8] the queue's root (prefix)
-- ARGV[1] protocol number   ARGV[2] how many values each task has, then these: 4 of plain tasks, whose ids differ,
--         id, name, args (JSON), options (JSON or ''),
--         or 9, of tasks that ask for more: delay (ms), run at (epoch ms, 0 = none), priority, unique key ('' = none),
--         terms (JSON or ''): what few tasks ask for, see terms.py
-- Returns 1: all were created, each under its own id
--      or {'ok', then 2 per task: id of the task that exists now, 1 created | 0 existed}
--      or {'protocol', number found in Redis}
-- The id is the idempotency key: valid while the task or its kept status exists.
-- A unique key with `throttle_ms` is kept for that long, whatever becomes of its task. One with `debounce_ms` makes its task
-- wait for so long, and each enqueue until then takes that task's place: its arguments count, and the wait begins again.
-- A task with a lane, and each one where the queue has a rate, comes to waiting by its lane: parts/lane.lua.
-- The marker of a priority above 0 goes to the front of waiting, of one below 0 to the back.
local waiting, delayed, priority, stats, config, task, unique = unpack(KEYS)
local ARGV = ARGV

-- Epoch milliseconds, put together as text: most calls need no number, and to format one costs as much as a command.
local clock = redis.call('TIME')
local at = clock[1] .. string.sub('00000' .. clock[2], -6, -4)

local says = redis.call('HMGET', config, 'protocol', 'rate_count', 'code_rate_count')
local protocol, rate = says[1], says[3] or says[2]
local rated = rate and (tonumber(rate) or 0) > 0
if protocol and protocol ~= ARGV[1] and math.abs(tonumber(protocol) - tonumber(ARGV[1])) > 1 then
  return {'protocol', tonumber(protocol)}
end
-- part: plain
local now = tonumber(at)
-- part: lane
-- part: planting

redis.call('LLEN', waiting)
local counters = redis.call('HMGET', stats, 'enqueued', 'sequence')
for _, count in ipairs(counters) do
  if count and not string.find(count, '^%-?%d+$') then return redis.error_reply('REFUSED a counter in stats is no whole number') end
end
local sequence = tonumber(counters[2] or '0')
local waits_for_time, has_priority = false, false

local NO_TERMS, reply, fresh, owners, asked, instead = {}, {'ok'}, {}, {}, {}, {}
local function throttled(key)
  local until_ms, owner = string.match(redis.call('GET', KEYS[#KEYS] .. 'throttle:' .. key) or '', '^(%d+) (.+)$')
  return owner and tonumber(until_ms) > now and owner
end
-- The owner of a key, if it holds others back. One that is gone or dead (only after damage: the scripts give keys back)
-- does not, nor does one that was debounced and whose time has come: the next window begins.
local function owner_of(key, debounce)
  local owner = redis.call('GET', unique .. key)
  if not owner then return false end
  local f = redis.pcall('HMGET', task .. owner, 'state', 'debounce_ms', 'deliveries')
  if f.err or not f[1] or f[1] == 'dead' then return false end
  if not f[2] then return owner end
  if f[1] ~= 'delayed' or f[3] then return false end
  return owner, debounce
end
for i = 3, #ARGV, 9 do
  local id, key, terms = ARGV[i], ARGV[i + 7], ARGV[i + 8]
  local wish = NO_TERMS
  if terms ~= '' then
    local sound, decoded = pcall(cjson.decode, terms)
    if not sound or type(decoded) ~= 'table' then return redis.error_reply('REFUSED the terms of a task are no JSON object') end
    wish = decoded
    if wish.expires_ms then redis.call('ZCARD', KEYS[#KEYS] .. 'expiring') end
  end
  asked[i] = wish
  waits_for_time = waits_for_time or wish ~= NO_TERMS or ARGV[i + 4] ~= '0' or ARGV[i + 5] ~= '0'
  has_priority = has_priority or ARGV[i + 6] ~= '0'
  local existing, takes_its_place = false, false
  local planted = wish.flow and flow_knows(wish)
  if planted == 'damaged' then return redis.error_reply('REFUSED the count of nodes in a workflow is no whole number') end
  if owners['id ' .. id] or redis.call('EXISTS', task .. id) == 1 or planted then
    existing = id
  elseif key ~= '' then
    local own = (wish.throttle_ms and 'throttle ' or 'key ') .. key
    if owners[own] then existing, takes_its_place = owners[own], wish.debounce_ms
    elseif wish.throttle_ms then existing = throttled(key)
    else existing, takes_its_place = owner_of(key, wish.debounce_ms) end
    if not existing then owners[own] = id end
  end
  reply[#reply + 1] = existing or id
  reply[#reply + 1] = existing and 0 or 1
  if not existing then
    fresh[#fresh + 1] = i
    owners['id ' .. id] = id
  elseif takes_its_place then
    fresh[#fresh + 1] = i
    instead[i] = existing
  end
end
-- Their types, where they may be written to.
if waits_for_time then redis.call('ZCARD', delayed) end
if has_priority then redis.call('ZCARD', priority) end

if not protocol then redis.call('HSET', config, 'protocol', ARGV[1]) end
local created = 0
-- One command for many that go to the back of waiting one after another.
local line = {}
local function line_up()
  if #line > 0 then redis.call('LPUSH', waiting, unpack(line)) end
  line = {}
end
for _, i in ipairs(fresh) do
  local id, name, args, options, delay_ms, run_at_ms, rank, key, terms = unpack(ARGV, i, i + 8)
  local wish = asked[i]
  id = instead[i] or id
  local hash = task .. id
  local due_ms = tonumber(run_at_ms)
  if due_ms == 0 then due_ms = now + tonumber(wish.debounce_ms or delay_ms) end
  local state = due_ms > now and 'delayed' or 'waiting'
  if instead[i] then
    redis.call('HDEL', hash, 'options', 'priority', 'score', 'lane')
  else
    created = created + 1
  end
  local begun = instead[i] and 'since_ms' or 'enqueued_ms'
  redis.call('HSET', hash, 'name', name, 'args', args, 'state', state, 'since_ms', at, begun, at)
  if options ~= '' then redis.call('HSET', hash, 'options', options) end
  local marks = ''
  if key ~= '' then
    if wish.throttle_ms then
      local throttle = KEYS[#KEYS] .. 'throttle:' .. key
      redis.call('SET', throttle, string.format('%.0f %s', now + wish.throttle_ms, id), 'PX', math.max(wish.throttle_ms, 60000))
    else
      redis.call('HSET', hash, 'unique', key)
      redis.call('SET', unique .. key, id)
    end
    if wish.debounce_ms then redis.call('HSET', hash, 'debounce_ms', wish.debounce_ms) end
    if wish.debounce_ms or wish.unique_for == 'while_waiting' then marks = marks .. 'u' end
  end
  if wish.lane or rated then marks = marks .. 'l' end
  if wish.lane then redis.call('HSET', hash, 'lane', wish.lane) end
  if wish.keep then marks = marks .. 'a' end
  if wish.expires_ms then
    marks = marks .. 'e'
    local expires = string.format('%.0f', now + wish.expires_ms)
    redis.call('HSET', hash, 'expires_ms', expires)
    redis.call('ZADD', KEYS[#KEYS] .. 'expiring', expires, id)
  end
  if wish.flow then
    marks = marks .. 'w'
    if flow_plant(id, wish, at) then
      state = 'blocked'
      redis.call('HSET', hash, 'state', state)
      redis.call('ZADD', KEYS[#KEYS] .. 'blocked', at, id)
    end
  end
  if marks ~= '' then redis.call('HSET', hash, 'marks', marks) end
  local score
  if rank ~= '0' then
    sequence = sequence + 1
    score = string.format('%.0f', -tonumber(rank) * 4294967296 + sequence % 4294967296)
    redis.call('HSET', hash, 'priority', rank, 'score', score)
  end
  if score or wish.lane or rated then line_up() end
  if state == 'delayed' then redis.call('ZADD', delayed, due_ms, id)
  elseif state == 'blocked' then -- it waits for other nodes of its workflow
  elseif (wish.lane or rated) and lane_enter(id, wish.lane, rank, at) then
    -- It stands in its lane.
  elseif score then
    redis.call('ZADD', priority, score, id)
    redis.call(tonumber(score) < 0 and 'RPUSH' or 'LPUSH', waiting, '*')
  else
    line[#line + 1] = id
    if #line == 200 then line_up() end
  end
end
line_up()
lanes_settle()
if created > 0 then redis.call('HINCRBY', stats, 'enqueued', created) end
if has_priority then redis.call('HSET', stats, 'sequence', sequence) end
return reply
