-- agree: which version of an app says what is scheduled; then all that is known of a queue's schedules
-- KEYS[1] schedules (HASH)   KEYS[2] fired (HASH)   KEYS[3] workers (ZSET)   KEYS[4] config (HASH)   KEYS[5] worker: (prefix of HASH)
-- ARGV[1] when the next occurrence is due, as the caller knows it (epoch ms, 0 = never, -1 = it does not know)
-- Returns {now (ms), schedules as field, value..., fired as field, value...}, the two as arrays
-- Of several versions the one counts whose worker registered last among the living, so a straggler of an old one counts only
-- while it lives; without workers the one that counted last. The loop is over registered workers, and only then.
local schedules, fired, workers, config, worker = unpack(KEYS)

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local records = redis.call('HGETALL', fired)
local known = redis.call('HGETALL', schedules)
redis.call('ZCARD', workers)
local next_fire = redis.call('HGET', config, 'next_fire_ms')

local counts, versions = nil, {}
for i = 1, #known, 2 do
  local version = string.match(known[i], '^code:(%x+)$')
  if version then versions[#versions + 1] = version end
  if known[i] == 'code' then counts = known[i + 1] end
end
if #versions == 1 and versions[1] ~= counts then
  redis.call('HSET', schedules, 'code', versions[1])
elseif #versions > 1 then
  local living, newest = {}, -1
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', workers, now, '+inf')) do
    local f = redis.pcall('HMGET', worker .. id, 'schedules', 'started_ms')
    local started = not f.err and f[1] and tonumber(f[2] or '')
    if started then
      living[f[1]] = true
      if started > newest then counts, newest = f[1], started end
    end
  end
  if counts then redis.call('HSET', schedules, 'code', counts) end
  for _, version in ipairs(versions) do
    if newest >= 0 and version ~= counts and not living[version] then redis.call('HDEL', schedules, 'code:' .. version) end
  end
end
if #versions > 0 then known = redis.call('HGETALL', schedules) end

if ARGV[1] == '0' and next_fire then redis.call('HDEL', config, 'next_fire_ms') end
if tonumber(ARGV[1]) > 0 and next_fire ~= ARGV[1] then redis.call('HSET', config, 'next_fire_ms', ARGV[1]) end
return {now, known, records}
