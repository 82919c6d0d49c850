-- register: a worker promises to beat before a deadline, and publishes what it can run
-- KEYS[1] workers (ZSET)   KEYS[2] worker (HASH)   KEYS[3] slots (HASH)   KEYS[4] manifest (HASH)   KEYS[5] config (HASH)
-- KEYS[6] schedules (HASH)
-- ARGV[1] protocol number  ARGV[2] worker id  ARGV[3] slot ('' = none)  ARGV[4] timeout (ms)  ARGV[5] beat interval (ms)
-- ARGV[6] pod  ARGV[7] concurrency  ARGV[8] app  ARGV[9] version
-- ARGV[10] version of the schedules in its code   ARGV[11] these (JSON)
-- ARGV[12] limits in its code: field, value... as words, then 2 per task: name, manifest entry (JSON)
-- Returns {'ok', now (ms), config as field, value...}, {'taken', id} or {'protocol', number found in Redis}
-- A slot has one worker at a time: whoever comes has recovered the last one before (declare_dead, recover). Where
-- somebody is registered, this call is late: its process is gone, and must not take the place of its successor.
local workers, worker, slots, manifest, config, schedules = unpack(KEYS)
local ours, id, slot, timeout_ms, beat_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local theirs = redis.call('HGET', config, 'protocol')
if theirs and math.abs(tonumber(theirs) - tonumber(ours)) > 1 then return {'protocol', tonumber(theirs)} end
redis.call('HLEN', worker)
redis.call('HLEN', manifest)
local scheduled = redis.call('HLEN', schedules) > 0 or ARGV[11] ~= '[]'
local holder = slot ~= '' and redis.call('HGET', slots, slot)
if holder and holder ~= id and redis.call('ZSCORE', workers, holder) then return {'taken', holder} end

if not theirs then redis.call('HSET', config, 'protocol', ours) end
redis.call('ZADD', workers, now + timeout_ms, id)
redis.call('HSET', worker, 'slot', slot, 'timeout_ms', timeout_ms, 'beat_ms', beat_ms, 'pod', ARGV[6], 'concurrency', ARGV[7],
  'app', ARGV[8], 'version', ARGV[9], 'started_ms', now)
if slot ~= '' then redis.call('HSET', slots, slot, id) end
if scheduled then
  redis.call('HSET', worker, 'schedules', ARGV[10])
  redis.call('HSET', schedules, 'code:' .. ARGV[10], ARGV[11])
end
-- Whoever registered last says what the code says.
redis.call('HDEL', config, 'code_rate_count', 'code_rate_ms', 'code_lane_concurrency', 'code_lane_rate_count', 'code_lane_rate_ms')
for field, value in string.gmatch(ARGV[12], '(%S+) (%S+)') do redis.call('HSET', config, field, value) end
for i = 13, #ARGV, 2 do redis.call('HSET', manifest, ARGV[i], ARGV[i + 1]) end
local reply = {'ok', now}
for _, word in ipairs(redis.call('HGETALL', config)) do reply[#reply + 1] = word end
return reply
