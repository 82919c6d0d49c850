-- cancel: the worker that runs a task is asked to stop it; the wish stays with the task, whatever becomes of that worker
-- KEYS[1] task: (prefix of HASH)   KEYS[2] worker: (prefix of HASH)
-- ARGV[1] id
-- Returns 'asked', or the state that it has instead of active, or 'missing'
-- The wish is mark 'c': whatever would send the task round again (retry, requeue, crash, recover) or to dead ends it
-- instead. A worker sees by `cancelled_at_us` in the reply to its beat that somebody has asked; see asked_to_stop.
local task, worker = unpack(KEYS)
local id = ARGV[1]

local clock = redis.call('TIME')
local f = redis.pcall('HMGET', task .. id, 'state', 'worker', 'marks')
if f.err or not f[1] then return 'missing' end
if f[1] ~= 'active' then return f[1] end
local holder = worker .. (f[2] or '')
local known = redis.pcall('HGET', holder, 'timeout_ms')

local marks = f[3] or ''
if not string.find(marks, 'c', 1, true) then redis.call('HSET', task .. id, 'marks', marks .. 'c') end
if type(known) == 'string' then
  redis.call('HSET', holder, 'cancelled_at_us', string.format('%.0f', clock[1] * 1000000 + clock[2]))
end
return 'asked'
