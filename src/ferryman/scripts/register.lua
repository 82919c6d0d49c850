-- register: a worker promises to beat before a deadline, and publishes what it can run
-- KEYS[1] workers (ZSET)   KEYS[2] worker (HASH)   KEYS[3] slots (HASH)   KEYS[4] manifest (HASH)   KEYS[5] config (HASH)
-- ARGV[1] protocol number  ARGV[2] worker id  ARGV[3] slot ('' = none)  ARGV[4] timeout (ms)  ARGV[5] beat interval (ms)
-- ARGV[6] pod  ARGV[7] concurrency  ARGV[8] app  ARGV[9] version, then 2 per task: name, manifest entry (JSON)
-- Returns {'ok', now (ms), predecessor ('' = none), config as field, value...} or {'protocol', number found in Redis}
-- Who holds the slot's lock proves that the slot's previous worker is gone: that one is declared dead here,
-- and the caller recovers what it held before it fetches.
local workers, worker, slots, manifest, config = unpack(KEYS)
local ours, id, slot, timeout_ms, beat_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local theirs = redis.call('HGET', config, 'protocol')
if theirs and math.abs(tonumber(theirs) - tonumber(ours)) > 1 then return {'protocol', tonumber(theirs)} end
redis.call('HLEN', worker)
redis.call('HLEN', manifest)
local predecessor = slot ~= '' and redis.call('HGET', slots, slot) or ''
if predecessor == id or (predecessor ~= '' and not redis.call('ZSCORE', workers, predecessor)) then predecessor = '' end

if not theirs then redis.call('HSET', config, 'protocol', ours) end
if predecessor ~= '' then redis.call('ZADD', workers, 0, predecessor) end
redis.call('ZADD', workers, now + timeout_ms, id)
redis.call('HSET', worker, 'slot', slot, 'timeout_ms', timeout_ms, 'beat_ms', beat_ms, 'pod', ARGV[6], 'concurrency', ARGV[7],
  'app', ARGV[8], 'version', ARGV[9], 'started_ms', now)
if slot ~= '' then redis.call('HSET', slots, slot, id) end
for i = 10, #ARGV, 2 do redis.call('HSET', manifest, ARGV[i], ARGV[i + 1]) end
local reply = {'ok', now, predecessor}
for _, word in ipairs(redis.call('HGETALL', config)) do reply[#reply + 1] = word end
return reply
