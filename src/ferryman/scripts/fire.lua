-- fire: an occurrence of a schedule -> a new task in waiting; or the occurrence is passed over; either way once
-- KEYS[1] to the last but one are those of enqueue. The last is fired (HASH: schedule -> key|settled|fired|id of its task)
-- ARGV[1] schedule   ARGV[2] key of its timing   ARGV[3] what the caller knows as settled (epoch ms)
-- ARGV[4] the occurrence (epoch ms)   ARGV[5] overlap: 'allow' | 'skip', or 'pass': enqueue nothing   ARGV[6...] as of enqueue
-- Returns {'fired', id}, {'overlaps', id of its last task, which has not ended} or {'passed'}: the occurrence is settled
--      or {'begun', now (ms)}: the schedule or its timing is new, so nothing before now counts
--      or {'moved', settled (ms)}: somebody else was faster   or {'early', now (ms)}   or {'protocol', number found in Redis}
-- What is settled only grows, and whoever moves it must know it: so any number of schedulers fire each occurrence once.
local function enqueue(KEYS, ARGV)
-- script: enqueue
end

local fired, name, key, expected, occurrence, overlap = KEYS[#KEYS], unpack(ARGV, 1, 5)
local time = redis.call('TIME')
local present = time[1] * 1000 + math.floor(time[2] / 1000)

local record = redis.call('HGET', fired, name) or ''
local known, settled, last, task_id = string.match(record, '^([^|]*)|(%d+)|(%d+)|([^|]*)$')
local function settle(at, last, task_id)
  redis.call('HSET', fired, name, table.concat({key, at, last or '0', task_id or ''}, '|'))
end

if known ~= key then
  local at = string.format('%.0f', present)
  settle(at, last, task_id)
  return {'begun', at}
end
if tonumber(settled) ~= tonumber(expected) or tonumber(occurrence) <= tonumber(settled) then return {'moved', settled} end
if tonumber(occurrence) > present then return {'early', present} end
if overlap == 'pass' then
  settle(occurrence, last, task_id)
  return {'passed'}
end
if overlap == 'skip' and task_id ~= '' then
  local state = redis.pcall('HGET', KEYS[6] .. task_id, 'state')
  if state == 'waiting' or state == 'delayed' or state == 'blocked' or state == 'active' then
    settle(occurrence, last, task_id)
    return {'overlaps', task_id}
  end
end
local reply = enqueue({unpack(KEYS, 1, #KEYS - 1)}, {unpack(ARGV, 6)})
if reply ~= 1 and reply[1] ~= 'ok' then return reply end
local accepted = reply ~= 1 and reply[2] or ARGV[8]
settle(occurrence, occurrence, accepted)
return {'fired', accepted}
