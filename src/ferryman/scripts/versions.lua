-- versions: read-only; what each version of the app says of one task
-- KEYS[1] versions (HASH)   KEYS[2] workers (ZSET)   KEYS[3] worker: (prefix of HASH)
-- ARGV[1] task name
-- Returns one array per version that knows it: {manifest entry (JSON), 1 = a living worker runs that version}
-- A version without a living worker is told of for an hour after a worker of it last registered: its pods may be restarting.
-- Asked only for what a worker can't run. The loop is over registered workers.
local versions, workers, worker = unpack(KEYS)
local KNOWN_MS = 3600000

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local living, reply = {}, {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', workers, now, '+inf')) do
  local version = redis.pcall('HGET', worker .. id, 'manifest')
  if type(version) == 'string' then living[version] = true end
end
for _, version in ipairs(redis.call('HKEYS', versions)) do
  if string.find(version, '^%x+$') then
    local known = living[version] or now - (tonumber(redis.call('HGET', versions, version)) or 0) <= KNOWN_MS
    local entry = known and redis.call('HGET', versions, version .. ':' .. ARGV[1])
    if entry then reply[#reply + 1] = {entry, living[version] and 1 or 0} end
  end
end
return reply
