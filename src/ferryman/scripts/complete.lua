-- complete: active -> completed (a batch); the status is kept for a bounded time and number
-- KEYS[1] active of the worker (LIST)   KEYS[2] workers (ZSET)   KEYS[3] completed (ZSET)   KEYS[4] stats (HASH)
-- KEYS[5] config (HASH)   KEYS[6] task: (prefix of HASH)   KEYS[7] unique: (prefix of STRING)   KEYS[8] the queue's root (prefix)
-- ARGV[1] worker id   ARGV[2] run time of the whole batch (ms), then 3 per task: id, token,
--         result ('' = not kept, else for how many ms, ':', and '=' and the JSON or '!' and why there is none)
-- Returns {'ok', ids that this worker no longer holds by that token...} or {'unregistered'}
local active, workers, completed, stats, config, task, unique = unpack(KEYS)
local me = ARGV[1]
-- part: departure

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

if tonumber(redis.call('ZSCORE', workers, me) or '0') <= 0 then return {'unregistered'} end
redis.call('LLEN', active)
for _, count in ipairs(redis.call('HMGET', stats, 'completed', 'run_ms')) do
  if count and not string.find(count, '^%-?%d+$') then return redis.error_reply('REFUSED a counter in stats is no whole number') end
end
local kept = redis.call('ZCARD', completed)
local limits = redis.call('HMGET', config, 'completed_ms', 'completed_max')
local keep = math.floor(tonumber(limits[2] or '10000') or 10000)
if tonumber(limits[1] or '3600000') == 0 then keep = 0 end

local done, seen, reply, marked = {}, {}, {'ok'}, {}
for i = 3, #ARGV, 3 do
  local id = ARGV[i]
  local f = redis.pcall('HMGET', task .. id, 'state', 'worker', 'deliveries', 'unique', 'marks', 'lane')
  if f[1] == 'active' and f[2] == me and f[3] == ARGV[i + 1] and not seen[id] then
    local owner = f[4] and redis.pcall('GET', unique .. f[4])
    done[#done + 1] = {id, ARGV[i + 2], owner == id and f[4]}
    seen[id] = true
    if f[5] then marked[#marked + 1] = {id, f[5], f[6]} end
  else
    reply[#reply + 1] = id
  end
end

-- Lua passes a few thousand values to one command at most, so long batches go in pieces.
local scores, PIECE, at = {}, 500, string.format('%.0f', now)
local function keep_statuses()
  if #scores == 0 then return end
  redis.call('ZADD', completed, unpack(scores))
  kept, scores = kept + #scores / 2, {}
end
-- What was fetched first stands at the end: what ends in that order is cut off in one command, only the rest is searched.
if #done > 1 then
  local oldest, cut = redis.call('LRANGE', active, -#done, -1), 0
  while cut < #oldest and seen[oldest[#oldest - cut]] do
    seen[oldest[#oldest - cut]] = nil
    cut = cut + 1
  end
  if cut > 0 then redis.call('LTRIM', active, 0, -cut - 1) end
end
for _, entry in ipairs(done) do
  local id, result, key = entry[1], entry[2], entry[3]
  if seen[id] then redis.call('LREM', active, -1, id) end
  if key then redis.call('DEL', unique .. key) end
  if result ~= '' then
    local keep_ms, kept = string.match(result, '^([1-9]%d*):(.*)$')
    if kept then redis.call('SET', KEYS[#KEYS] .. 'result:' .. id, kept, 'PX', keep_ms) end
  end
  if keep == 0 then
    redis.call('UNLINK', task .. id)
  else
    redis.call('HSET', task .. id, 'state', 'completed', 'finished_ms', at)
    redis.call('HDEL', task .. id, 'args', 'options', 'worker', 'deaths', 'unique', 'error')
    scores[#scores + 1] = at
    scores[#scores + 1] = id
    if #scores >= 2 * PIECE then keep_statuses() end
  end
end
keep_statuses()
-- What goes over the number goes at once, oldest first, at most as many as came in and a few of an old surplus.
local surplus = math.min(kept - keep, #done + 50)
if surplus > 0 then
  local oldest = redis.call('ZPOPMIN', completed, surplus)
  local hashes = {}
  for i = 1, #oldest, 2 do hashes[#hashes + 1] = task .. oldest[i] end
  for i = 1, #hashes, PIECE do redis.call('UNLINK', unpack(hashes, i, math.min(i + PIECE - 1, #hashes))) end
end
if #done > 0 then
  redis.call('HINCRBY', stats, 'completed', #done)
  redis.call('HINCRBY', stats, 'run_ms', ARGV[2])
end
for _, entry in ipairs(marked) do departed(entry[1], entry[2], 'completed', entry[3]) end
return reply
