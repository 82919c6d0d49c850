-- The end of a task before its run has come to one: it was cancelled (mark 'c'), or its deadline passed (mark 'e').
-- Its status is kept as state `discarded` with `why`: 'cancelled' or 'expired'; it counts as discarded, and under why.
-- part: history
-- part: departure
local function is_cancelled(marks) return marks and string.find(marks, 'c', 1, true) end

-- An error when what `cut_short` writes to is damaged, else nil; asked before a script's first write.
local function cannot_cut_short()
  local root = KEYS[#KEYS]
  local kept = redis.pcall('ZCARD', root .. 'completed')
  local counters = redis.pcall('HMGET', root .. 'stats', 'discarded', 'cancelled', 'expired')
  local config = redis.pcall('HMGET', root .. 'config', 'completed_ms')
  for _, reply in ipairs({kept, counters, config}) do
    if type(reply) == 'table' and reply.err then return reply end
  end
  for _, count in ipairs(counters) do
    if count and not string.find(count, '^%-?%d+$') then return redis.error_reply('REFUSED a counter in stats is no whole number') end
  end
end

-- The task stands in no list or set any more. `run`: nil, or {worker, run time (ms or nil), what happened} of a run that
-- is told in its history. Its hash is one.
local function cut_short(id, why, now, run)
  local root = KEYS[#KEYS]
  local hash = root .. 'task:' .. id
  local at = string.format('%.0f', now)
  local f = redis.call('HMGET', hash, 'unique', 'marks', 'attempt', 'since_ms', 'history', 'lane')
  local owner = f[1] and redis.pcall('GET', root .. 'unique:' .. f[1])
  if owner == id then redis.call('DEL', root .. 'unique:' .. f[1]) end
  if tonumber(redis.call('HGET', root .. 'config', 'completed_ms') or '3600000') == 0 then
    redis.call('UNLINK', hash)
  else
    local error = why == 'expired' and 'its deadline passed before a worker ran it' or 'it was cancelled while it ran'
    redis.call('HSET', hash, 'state', 'discarded', 'why', why, 'finished_ms', at, 'error', error)
    redis.call('HDEL', hash, 'args', 'options', 'worker', 'deaths', 'unique', 'score', 'parked', 'marks', 'expires_ms')
    if run then
      redis.call('HSET', hash, 'history', remembered(f[5], run[1], (tonumber(f[3] or '0') or 0) + 1, f[4], now, run[2], why, run[3]))
    end
    redis.call('ZADD', root .. 'completed', at, id)
  end
  redis.call('HINCRBY', root .. 'stats', 'discarded', 1)
  redis.call('HINCRBY', root .. 'stats', why, 1)
  if f[2] then departed(id, f[2], 'discarded', f[6], why) end
end

-- The same for a run that has just ended, of a task that was cancelled meanwhile: what the script returns.
local function cut_short_run(active, id, now, run)
  local damage = cannot_cut_short()
  if damage then return damage end
  redis.call('LREM', active, -1, id)
  cut_short(id, 'cancelled', now, run)
  return 'cancelled'
end
