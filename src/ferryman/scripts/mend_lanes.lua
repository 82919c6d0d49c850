-- mend_lanes: repairs what damage did to lanes, and lets changed limits take effect (bounded); waiting <-> blocked
-- KEYS[1] lanes (ZSET)   KEYS[2] blocked (ZSET)   KEYS[3] task: (prefix of HASH)   KEYS[4] the queue's root (prefix)
-- ARGV[1] limit   ARGV[2] lanes to pass over   ARGV[3] blocked ones to pass over
-- Returns {mended, lanes to pass over next (-1 = all were seen), blocked ones to pass over next (-1 likewise)}
-- A place whose task does not need it is given back; a blocked task with a lane that does not stand in it stands there again.
local lanes, blocked, task = unpack(KEYS)
local limit, passed, seen = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
-- part: lane

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local at, mended = string.format('%.0f', now), 0

local names = passed >= 0 and redis.call('ZRANGE', lanes, passed, passed + limit - 1) or {}
local ids = seen >= 0 and redis.call('ZRANGE', blocked, seen, seen + limit - 1) or {}

for _, name in ipairs(names) do
  local places = lane_root .. 'places:' .. name
  local most = lane_limits(name)
  local held = redis.pcall('ZRANGE', places, 0, limit - 1, 'WITHSCORES')
  for i = 1, #held, 2 do
    local id, running = held[i], held[i + 1] ~= '0'
    local f = redis.pcall('HMGET', task .. id, 'state', 'lane')
    local here = name == LINE or f[2] == name
    if here and f[1] == 'active' and most > 0 then
      if not running then
        redis.pcall('ZADD', places, 1, id)
        mended = mended + 1
      end
    elseif not (here and (f[1] == 'waiting' or f[1] == 'blocked' and name ~= LINE)) then
      redis.pcall('ZREM', places, id)
      mended = mended + 1
    elseif running then
      redis.pcall('ZADD', places, 0, id)
      mended = mended + 1
    end
  end
  lane_touch(name)
end
for _, id in ipairs(ids) do
  local f = redis.pcall('HMGET', task .. id, 'state', 'lane', 'marks', 'priority')
  local marks = f[3] or ''
  -- One that waits for other tasks comes to its lane when these have ended.
  if f[1] == 'blocked' and string.find(marks, 'l', 1, true) and not string.find(marks, 'w', 1, true)
    and not redis.pcall('ZSCORE', lane_root .. 'lane:' .. (f[2] or LINE), id)
    and not redis.pcall('ZSCORE', lane_root .. 'lane:' .. LINE, id) then
    if lane_stand(id, f[2] or LINE, f[4], false, at) then mended = mended + 1 end
  end
end
lanes_settle()
return {mended, #names == limit and passed + limit or -1, #ids == limit and seen + limit or -1}
