-- A new task that is a node of a workflow (see parts/workflow.lua): its terms say what it waits for and who waits for it.
-- Returns whether the node is known already, or its workflow takes no more; or 'damaged'.
local function flow_knows(wish)
  local f = redis.call('HMGET', KEYS[#KEYS] .. 'flow:' .. wish.flow, 'n:' .. wish.node, 'planted', 'nodes', 'abandoned')
  if f[1] or f[4] or f[2] and f[2] == f[3] then return true end
  if f[2] and not string.find(f[2], '^%d+$') then return 'damaged' end
  if wish.waits then redis.call('ZCARD', KEYS[#KEYS] .. 'blocked') end
  if wish.sending then redis.call('ZCARD', KEYS[#KEYS] .. 'flow-sending') end
  if wish.pin_ms then redis.call('LLEN', KEYS[#KEYS] .. 'flow-pins:' .. wish.flow) end
  for _, before in ipairs(wish.after or {}) do redis.call('LLEN', KEYS[#KEYS] .. 'next:' .. before) end
  for _, after in ipairs(wish.next or {}) do redis.call('SCARD', KEYS[#KEYS] .. 'waits:' .. after) end
  return false
end

-- Writes the node's part of the workflow. Returns whether it waits for others.
local function flow_plant(id, wish, at)
  local root = KEYS[#KEYS]
  local flow = root .. 'flow:' .. wish.flow
  redis.call('HSETNX', flow, 'left', wish.nodes)
  redis.call('HSETNX', flow, 'nodes', wish.nodes)
  redis.call('HSETNX', flow, 'created_ms', at)
  redis.call('HINCRBY', flow, 'planted', 1)
  redis.call('HSET', flow, 'n:' .. wish.node, wish.spec)
  redis.call('HSET', root .. 'task:' .. id, 'flow', wish.flow)
  if wish.ignores then redis.call('HSET', flow, 'i:' .. wish.node, 1) end
  if wish.undo then redis.call('HSET', flow, 'undoes', 1, 'u:' .. wish.node, wish.undo) end
  if wish.pin_ms then
    redis.call('HSET', flow, 'p:' .. wish.node, wish.pin_ms)
    redis.call('RPUSH', root .. 'flow-pins:' .. wish.flow, wish.node)
  end
  if wish.sending then redis.call('ZADD', root .. 'flow-sending', at, wish.flow) end
  for _, before in ipairs(wish.after or {}) do
    redis.call('RPUSH', root .. 'next:' .. before, id)
    redis.call('SADD', root .. 'waits:' .. id, before)
  end
  for _, after in ipairs(wish.next or {}) do
    redis.call('RPUSH', root .. 'next:' .. id, after)
    redis.call('SADD', root .. 'waits:' .. after, id)
  end
  return wish.waits
end
