-- Lanes: a task with a lane stands in it, as `blocked`, until its lane lets it into waiting; then it holds a place there.
-- A few of a lane are in waiting at a time, the next goes to the back when one is fetched or has ended: so lanes take turns.
-- What passes the lanes of a queue with a rate of its own stands in one more lane, LINE, before it comes to waiting.
-- lane:<name> ZSET of who stands there (score = turn), places:<name> ZSET of who was let in (0 in waiting, 1 running, kept
-- while it runs only where a lane has a concurrency), starts:<name> ZSET of fetches within the rate's period, lanes ZSET
-- name -> how many stand, lane-ready HASH name -> how many of them only want for workers (their sum is stats.ready),
-- lane-wakes ZSET name -> when its rate lets the next one in (ms), served by promote.
-- It runs after a transition's own writes, so it never raises: what is damaged is passed over, and limits nobody.
local lane_root, LINE, LANE_WINDOW, LANE_BATCH = KEYS[#KEYS], '*', 10, 100
local lane_said, lane_touched, lane_seen = nil, {}, {}

local function lane_count(reply) return tonumber(reply) or 0 end

-- Of a lane: how many may have a place at once (0 = any number), how many may start (0 = any) in how many ms.
-- What the code of the queue says counts before what the TaskQueue says.
local function lane_limits(name)
  if not lane_said then
    local c = redis.pcall('HMGET', lane_root .. 'config', 'code_lane_concurrency', 'lane_concurrency', 'code_lane_rate_count',
      'lane_rate_count', 'code_lane_rate_ms', 'lane_rate_ms', 'code_rate_count', 'rate_count', 'code_rate_ms', 'rate_ms')
    local function said(i) return math.max(tonumber(c[i] or c[i + 1] or '0') or 0, 0) end
    lane_said = {line = {0, said(7), said(9)}, lane = {said(1), said(3), said(5)}}
  end
  return unpack(name == LINE and lane_said.line or lane_said.lane)
end

local function lane_touch(name)
  if not lane_seen[name] then
    lane_seen[name] = true
    lane_touched[#lane_touched + 1] = name
  end
end

-- Returns how many more may come into waiting, how many more could run, and when the rate lets another one in (nil: not it).
local function lane_room(name, now)
  local most, per, ms = lane_limits(name)
  local places, starts = lane_root .. 'places:' .. name, lane_root .. 'starts:' .. name
  local line, could, wake = lane_count(redis.pcall('ZCOUNT', places, 0, 0)), 1e15, nil
  if most > 0 then could = most - lane_count(redis.pcall('ZCARD', places)) end
  if per > 0 then
    redis.pcall('ZREMRANGEBYSCORE', starts, '-inf', string.format('%.0f', now - ms))
    local left = per - lane_count(redis.pcall('ZCARD', starts)) - line
    could = math.min(could, left)
    local oldest = left <= 0 and redis.pcall('ZRANGE', starts, 0, 0, 'WITHSCORES')
    if oldest and oldest[2] then wake = tonumber(oldest[2]) + ms end
  end
  return math.max(math.min(could, (name == LINE and LANE_BATCH or LANE_WINDOW) - line), 0), math.max(could, 0), wake
end

-- The task stands in the lane from now on, behind the others of its priority; one that comes `back` takes its old turn,
-- which is before theirs. False when it can't.
local function lane_stand(id, name, rank, back, at)
  local lane = lane_root .. 'lane:' .. name
  local hash = lane_root .. 'task:' .. id
  local turn = back and tonumber(redis.pcall('HGET', hash, 'turn') or '')
  if not turn then
    local count = lane_count(redis.pcall('HINCRBY', lane_root .. 'stats', 'turn', 1))
    turn = -(tonumber(rank or '0') or 0) * 4294967296 + count % 4294967296
  end
  turn = string.format('%.0f', turn)
  if type(redis.pcall('ZADD', lane, turn, id)) ~= 'number' then return false end
  if type(redis.pcall('ZADD', lane_root .. 'blocked', at, id)) ~= 'number' then
    redis.pcall('ZREM', lane, id)
    return false
  end
  redis.pcall('HSET', hash, 'state', 'blocked', 'since_ms', at, 'turn', turn)
  lane_touch(name)
  return true
end

-- Blocked -> waiting. False when waiting can't take it.
local function lane_to_waiting(id, score, at)
  local moved
  if score then
    moved = redis.pcall('ZADD', lane_root .. 'priority', score, id)
    if type(moved) == 'number' then
      moved = redis.pcall(tonumber(score) < 0 and 'RPUSH' or 'LPUSH', lane_root .. 'waiting', '*')
      if type(moved) ~= 'number' then redis.pcall('ZREM', lane_root .. 'priority', id) end
    end
  else
    moved = redis.pcall('LPUSH', lane_root .. 'waiting', id)
  end
  if type(moved) ~= 'number' then return false end
  redis.pcall('ZREM', lane_root .. 'blocked', id)
  redis.pcall('HSET', lane_root .. 'task:' .. id, 'state', 'waiting', 'since_ms', at)
  return true
end

-- Its lane lets it go on: to LINE where the queue has a rate, else to waiting. False when waiting can't take it.
local function lane_let_on(id, name, score, rank, at)
  local _, per = lane_limits(LINE)
  if name ~= LINE and per > 0 and lane_stand(id, LINE, rank, false, at) then return true end
  return lane_to_waiting(id, score, at)
end

-- Lets in whoever has room, notes when the rate lets in the next one, and keeps the figures of the lane.
local function lane_settle(name, now, at)
  local lane, places = lane_root .. 'lane:' .. name, lane_root .. 'places:' .. name
  local standing = lane_count(redis.pcall('ZCARD', lane))
  local room, could, wake = 0, 0, nil
  local _, rate = lane_limits(LINE)
  -- The queue's rate is gone: nobody needs a place in LINE any more, and who stands there goes on, a batch at a time.
  local ends = name == LINE and rate == 0
  if ends then redis.pcall('DEL', places) end
  if standing > 0 then
    room, could, wake = lane_room(name, now)
    local took = 0
    for _ = 1, LANE_BATCH do
      if took >= room then break end
      local first = redis.pcall('ZPOPMIN', lane)
      local id = first[1]
      if not id then break end
      local f = redis.pcall('HMGET', lane_root .. 'task:' .. id, 'state', 'score', 'priority')
      if f[1] == 'blocked' then
        if not ends then redis.pcall('ZADD', places, 0, id) end
        if not lane_let_on(id, name, f[2] and string.match(f[2], '^%-?%d+$'), f[3], at) then
          redis.pcall('ZREM', places, id)
          redis.pcall('ZADD', lane, first[2], id)
          break
        end
        took = took + 1
      elseif f.err then -- no record to speak of: a person decides
        redis.pcall('ZREM', lane_root .. 'blocked', id)
        redis.pcall('ZADD', lane_root .. 'dead', at, id)
      end
    end
    standing = lane_count(redis.pcall('ZCARD', lane))
    if took > 0 and standing > 0 then
      room, could, wake = lane_room(name, now)
      if name == LINE and room > 0 then wake = now end
    end
  end
  if standing > 0 and wake then redis.pcall('ZADD', lane_root .. 'lane-wakes', string.format('%.0f', wake), name)
  else redis.pcall('ZREM', lane_root .. 'lane-wakes', name) end
  if standing > 0 or lane_count(redis.pcall('ZCARD', places)) > 0 then redis.pcall('ZADD', lane_root .. 'lanes', standing, name)
  else redis.pcall('ZREM', lane_root .. 'lanes', name) end
  -- Behind a rate of the whole queue more workers help nobody.
  local ready = rate == 0 and math.min(standing, could) or 0
  local before = tonumber(redis.pcall('HGET', lane_root .. 'lane-ready', name) or '0') or 0
  if ready ~= before then
    if ready > 0 then redis.pcall('HSET', lane_root .. 'lane-ready', name, ready)
    else redis.pcall('HDEL', lane_root .. 'lane-ready', name) end
    redis.pcall('HINCRBY', lane_root .. 'stats', 'ready', ready - before)
  end
end

-- Settles every lane that was touched, and tells whether any was; call it once, at the end.
local function lanes_settle()
  if #lane_touched == 0 then return false end
  local clock = redis.call('TIME')
  local now, i = clock[1] * 1000 + math.floor(clock[2] / 1000), 1
  local at = string.format('%.0f', now)
  while lane_touched[i] do
    local name = lane_touched[i]
    lane_seen[name] = nil
    lane_settle(name, now, at)
    i = i + 1
  end
  lane_touched, lane_seen = {}, {}
  return true
end

-- A task that would come into waiting now comes to its lane, or to LINE, instead. False: it has neither, or they are damaged.
local function lane_enter(id, name, rank, at)
  if name then return lane_stand(id, name, rank, false, at) end
  local _, per = lane_limits(LINE)
  return per > 0 and lane_stand(id, LINE, rank, false, at)
end

-- Whether a worker may take this task, whose entry has left waiting. When not (a limit has changed meanwhile, or the task
-- has come round it), it stands in the lane that it has no place in, and false is returned.
local function lane_take(id, name, rank, token, now, at)
  local stages = {}
  if name then stages[1] = name end
  local _, rate = lane_limits(LINE)
  if rate > 0 then stages[#stages + 1] = LINE end
  for i, stage in ipairs(stages) do
    local most, per, ms = lane_limits(stage)
    local places, starts = lane_root .. 'places:' .. stage, lane_root .. 'starts:' .. stage
    local placed, full = redis.pcall('ZSCORE', places, id), false
    if most > 0 then full = lane_count(redis.pcall('ZCOUNT', places, 1, 1)) >= most end
    if per > 0 and not full then
      redis.pcall('ZREMRANGEBYSCORE', starts, '-inf', string.format('%.0f', now - ms))
      full = lane_count(redis.pcall('ZCARD', starts)) >= per
    end
    -- A set of places that is damaged (an error comes as a table) limits nobody.
    if (not placed or full and type(placed) ~= 'table') and lane_stand(id, stage, rank, placed and true, at) then
      for j = i, #stages do
        redis.pcall('ZREM', lane_root .. 'places:' .. stages[j], id)
        lane_touch(stages[j])
      end
      return false
    end
  end
  for _, stage in ipairs(stages) do
    local most, per, ms = lane_limits(stage)
    local places, starts = lane_root .. 'places:' .. stage, lane_root .. 'starts:' .. stage
    if most > 0 then redis.pcall('ZADD', places, 1, id) else redis.pcall('ZREM', places, id) end
    if per > 0 then
      redis.pcall('ZADD', starts, at, id .. ' ' .. token)
      redis.pcall('PEXPIRE', starts, math.max(2 * ms, 60000))
    end
    lane_touch(stage)
  end
  return true
end

-- The end of a task, or it left its worker: its place is another's. One that goes back to the front of waiting keeps it.
local function lane_left(id, name, fate)
  if fate == 'requeued' or fate == 'recovered' then
    local _, rate = lane_limits(LINE)
    if name then
      redis.pcall('ZADD', lane_root .. 'places:' .. name, 0, id)
      lane_touch(name)
    end
    if rate > 0 then redis.pcall('ZADD', lane_root .. 'places:' .. LINE, 0, id) end
    return
  end
  for _, stage in ipairs({name or LINE, (fate == 'dead' or fate == 'discarded') and name and LINE or nil}) do
    if fate == 'discarded' then redis.pcall('ZREM', lane_root .. 'lane:' .. stage, id) end
    redis.pcall('ZREM', lane_root .. 'places:' .. stage, id)
    lane_touch(stage)
  end
end
