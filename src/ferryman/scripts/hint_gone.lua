-- hint_gone: somebody saw the worker's container end; its deadline shrinks to two silent beats
-- KEYS[1] workers (ZSET)   KEYS[2] worker (HASH)   KEYS[3] untold (HASH)   KEYS[4] task: (prefix of HASH)
-- ARGV[1] worker id   ARGV[2] reason   ARGV[3] 1 = announced disruption: no crash is charged
-- Returns 1, or 0 when the worker is not registered. A wrong hint is harmless: the next beat moves the deadline on.
-- When the next process of its container has been faster, the reason takes the place of that one's in the evidence.
local workers, worker, untold, task = unpack(KEYS)

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local deadline = tonumber(redis.call('ZSCORE', workers, ARGV[1]) or '-1')
if deadline == 0 then
  if redis.call('HDEL', worker, 'untold') == 1 then redis.call('HSET', worker, 'hint', ARGV[2]) end
  return 0
end
if deadline < 0 then
  local held, before = string.match(redis.call('HGET', untold, ARGV[1]) or '', '^(.-)\n(.*)$')
  if not held then return 0 end
  local evidence = redis.call('HGET', task .. held, 'evidence')
  redis.call('HDEL', untold, ARGV[1])
  if not evidence then return 0 end
  local its, old = '"worker":' .. cjson.encode(ARGV[1]), '"reason":' .. cjson.encode(before)
  local lines = {}
  for line in string.gmatch(evidence, '[^\n]+') do
    local from, to = string.find(line, old, 1, true)
    if from and string.find(line, its, 1, true) then
      line = string.sub(line, 1, from - 1) .. '"reason":' .. cjson.encode(ARGV[2]) .. string.sub(line, to + 1)
    end
    lines[#lines + 1] = line
  end
  redis.call('HSET', task .. held, 'evidence', table.concat(lines, '\n'))
  return 0
end
local beat_ms = tonumber(redis.call('HGET', worker, 'beat_ms') or '1000') or 1000

redis.call('ZADD', workers, math.min(deadline, now + 2 * beat_ms), ARGV[1])
redis.call('HSET', worker, 'hint', ARGV[2])
redis.call('HDEL', worker, 'vouched_until_ms')
if ARGV[3] == '1' then redis.call('HSET', worker, 'exempt', 1) end
return 1
