-- register: a worker promises to beat before a deadline, and publishes what it can run
-- KEYS[1] workers (ZSET)   KEYS[2] worker (HASH)   KEYS[3] slots (HASH)   KEYS[4] manifest (HASH)   KEYS[5] config (HASH)
-- KEYS[6] schedules (HASH)  KEYS[7] versions (HASH)  KEYS[8] worker: (prefix of HASH)
-- ARGV[1] protocol number  ARGV[2] worker id  ARGV[3] slot ('' = none)  ARGV[4] timeout (ms)  ARGV[5] beat interval (ms)
-- ARGV[6] pod  ARGV[7] concurrency  ARGV[8] app  ARGV[9] version
-- ARGV[10] version of the schedules in its code   ARGV[11] these (JSON)
-- ARGV[12] limits in its code: field, value... as words   ARGV[13] version: the digest of its manifest
-- then 2 per task: name, manifest entry (JSON)
-- Returns {'ok', now (ms), config as field, value...}, {'taken', id} or {'protocol', number found in Redis}
-- A slot has one worker at a time: whoever comes has recovered the last one before (declare_dead, recover). Where
-- somebody is registered, this call is late: its process is gone, and must not take the place of its successor.
-- A refusal is noted, so that people are told of processes that end before anybody sees them.
-- Versions that no registered worker has, and that have been gone for an hour, are forgotten.
local workers, worker, slots, manifest, config, schedules, versions, worker_prefix = unpack(KEYS)
local KNOWN_MS = 3600000
local ours, id, slot, timeout_ms, beat_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local theirs = redis.call('HGET', config, 'protocol')
if theirs and math.abs(tonumber(theirs) - tonumber(ours)) > 1 then
  redis.call('HSET', config, 'refused_protocol', ours, 'refused_ms', now)
  return {'protocol', tonumber(theirs)}
end
redis.call('HLEN', worker)
redis.call('HLEN', manifest)
redis.call('HLEN', versions)
local scheduled = redis.call('HLEN', schedules) > 0 or ARGV[11] ~= '[]'
local holder = slot ~= '' and redis.call('HGET', slots, slot)
if holder and holder ~= id and redis.call('ZSCORE', workers, holder) then return {'taken', holder} end

if not theirs then redis.call('HSET', config, 'protocol', ours) end
redis.call('ZADD', workers, now + timeout_ms, id)
redis.call('HSET', worker, 'slot', slot, 'timeout_ms', timeout_ms, 'beat_ms', beat_ms, 'pod', ARGV[6], 'concurrency', ARGV[7],
  'app', ARGV[8], 'version', ARGV[9], 'started_ms', now, 'protocol', ours, 'manifest', ARGV[13])
if slot ~= '' then redis.call('HSET', slots, slot, id) end
if scheduled then
  redis.call('HSET', worker, 'schedules', ARGV[10])
  redis.call('HSET', schedules, 'code:' .. ARGV[10], ARGV[11])
end
-- Whoever registered last says what the code says.
redis.call('HDEL', config, 'code_rate_count', 'code_rate_ms', 'code_lane_concurrency', 'code_lane_rate_count', 'code_lane_rate_ms')
for field, value in string.gmatch(ARGV[12], '(%S+) (%S+)') do redis.call('HSET', config, field, value) end
local fresh = #ARGV > 13 and redis.call('HEXISTS', versions, ARGV[13]) == 0
for i = 14, #ARGV, 2 do
  redis.call('HSET', manifest, ARGV[i], ARGV[i + 1])
  if fresh then redis.call('HSET', versions, ARGV[13] .. ':' .. ARGV[i], ARGV[i + 1]) end
end
if #ARGV > 13 then redis.call('HSET', versions, ARGV[13], now) end
if fresh then -- a release: what nobody runs any more goes
  local registered, fields = {}, redis.call('HKEYS', versions)
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', workers, '(0', '+inf')) do
    registered[redis.pcall('HGET', worker_prefix .. other, 'manifest')] = true
  end
  local gone = {}
  for _, field in ipairs(fields) do
    if string.find(field, '^%x+$') and not registered[field] then
      gone[field] = now - (tonumber(redis.call('HGET', versions, field)) or 0) > KNOWN_MS
    end
  end
  for _, field in ipairs(fields) do
    if gone[string.match(field, '^%x+')] then redis.call('HDEL', versions, field) end
  end
end
local reply = {'ok', now}
for _, word in ipairs(redis.call('HGETALL', config)) do reply[#reply + 1] = word end
return reply
