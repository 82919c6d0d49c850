-- enqueue: new -> waiting | delayed (a batch)
-- KEYS[1] waiting (LIST)    KEYS[2] delayed (ZSET)   KEYS[3] priority (ZSET)  KEYS[4] stats (HASH)
-- KEYS[5] config (HASH)     KEYS[6] task: (prefix of HASH)                    KEYS[7] unique: (prefix of STRING)
-- ARGV[1] protocol number, then 8 per task:
--         id, name, args (JSON), options (JSON or ''), delay (ms), run at (epoch ms, 0 = none), priority, unique key ('' = none)
-- Returns {'ok', then 2 per task: id of the task that exists now, 1 created | 0 existed}
--      or {'protocol', number found in Redis}
-- The id is the idempotency key: valid while the task or its kept status exists.
-- The marker of a priority above 0 goes to the front of waiting, of one below 0 to the back.
local waiting, delayed, priority, stats, config, task, unique = unpack(KEYS)

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local protocol = redis.call('HGET', config, 'protocol')
if protocol and math.abs(tonumber(protocol) - tonumber(ARGV[1])) > 1 then
  return {'protocol', tonumber(protocol)}
end
redis.call('LLEN', waiting)
redis.call('ZCARD', delayed)
redis.call('ZCARD', priority)
for _, count in ipairs(redis.call('HMGET', stats, 'enqueued', 'sequence')) do
  if count and not string.find(count, '^%-?%d+$') then return redis.error_reply('REFUSED a counter in stats is no whole number') end
end
local sequence = tonumber(redis.call('HGET', stats, 'sequence') or '0')

local reply, fresh, owners = {'ok'}, {}, {}
for i = 2, #ARGV, 8 do
  local id, key = ARGV[i], ARGV[i + 7]
  local existing = false
  if owners['id ' .. id] or redis.call('EXISTS', task .. id) == 1 then
    existing = id
  elseif key ~= '' then
    existing = owners['key ' .. key] or redis.call('GET', unique .. key)
    -- A key whose owner is gone or dead (both only after damage: the scripts give keys back) holds nobody back.
    if existing and not owners['key ' .. key] then
      local state = redis.pcall('HGET', task .. existing, 'state')
      if type(state) ~= 'string' or state == 'dead' then existing = false end
    end
  end
  reply[#reply + 1] = existing or id
  reply[#reply + 1] = existing and 0 or 1
  if not existing then
    fresh[#fresh + 1] = i
    owners['id ' .. id] = id
    if key ~= '' then owners['key ' .. key] = id end
  end
end

if not protocol then redis.call('HSET', config, 'protocol', ARGV[1]) end
local at = string.format('%.0f', now)
for _, i in ipairs(fresh) do
  local id, name, args, options, delay_ms, run_at_ms, rank, key = unpack(ARGV, i, i + 7)
  local hash = task .. id
  local due_ms = tonumber(run_at_ms)
  if due_ms == 0 then due_ms = now + tonumber(delay_ms) end
  local state = due_ms > now and 'delayed' or 'waiting'
  redis.call('HSET', hash, 'name', name, 'args', args, 'state', state, 'enqueued_ms', at, 'since_ms', at)
  if options ~= '' then redis.call('HSET', hash, 'options', options) end
  if key ~= '' then
    redis.call('HSET', hash, 'unique', key)
    redis.call('SET', unique .. key, id)
  end
  if rank ~= '0' then
    sequence = sequence + 1
    local score = -tonumber(rank) * 4294967296 + sequence % 4294967296
    redis.call('HSET', hash, 'priority', rank, 'score', string.format('%.0f', score))
    if state == 'waiting' then
      redis.call('ZADD', priority, string.format('%.0f', score), id)
      redis.call(score < 0 and 'RPUSH' or 'LPUSH', waiting, '*')
    end
  elseif state == 'waiting' then
    redis.call('LPUSH', waiting, id)
  end
  if state == 'delayed' then redis.call('ZADD', delayed, due_ms, id) end
end
if #fresh > 0 then redis.call('HINCRBY', stats, 'enqueued', #fresh) end
redis.call('HSET', stats, 'sequence', sequence)
return reply
