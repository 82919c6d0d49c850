-- attend: how tasks ended; who asks for one that has not is told of its end
-- KEYS[1] task: (prefix of HASH)   KEYS[2] result: (prefix of STRING)   KEYS[3] awaiting: (prefix of SET)
-- ARGV[1] who asks ('' = a look, and no more), then the ids
-- Returns 2 per id: how it ended and what that left: 'completed' and its result ('=' JSON, '!' why there is none, '' = none
--         was kept), 'dead' and the error, 'discarded' and why; or its state and ''; or 'missing' and '', or 'crowded' and ''
-- Whose end comes pushes the id onto the list told:<who asks>, see parts/awaited.lua.
local task, result, awaiting = unpack(KEYS)
local who = ARGV[1]
local WAITERS_AT_MOST = 1000

local reply = {}
for i = 2, #ARGV do
  local id = ARGV[i]
  local f = redis.pcall('HMGET', task .. id, 'state', 'error', 'why', 'marks')
  local kept = redis.pcall('GET', result .. id)
  if type(kept) ~= 'string' then kept = '' end
  local sort, state, left = string.sub(kept, 1, 1), f[1] or 'missing', ''
  if f.err then state, left = 'dead', 'its record is damaged'
  elseif state == 'dead' then left = f[2] or ''
  elseif state == 'discarded' then left = f[3] or 'discarded'
  elseif state == 'completed' then left = sort ~= '-' and kept or ''
  elseif state == 'missing' and sort == '-' then state, left = 'discarded', string.sub(kept, 2)
  elseif state == 'missing' and kept ~= '' then state, left = 'completed', kept
  elseif state ~= 'missing' and who ~= '' then
    local waiters = redis.pcall('SCARD', awaiting .. id)
    if type(waiters) ~= 'number' or waiters >= WAITERS_AT_MOST then state = 'crowded'
    else
      redis.call('SADD', awaiting .. id, who)
      local marks = f[4] or ''
      if not string.find(marks, 'a', 1, true) then redis.call('HSET', task .. id, 'marks', marks .. 'a') end
    end
  end
  reply[#reply + 1], reply[#reply + 2] = state, left
end
return reply
