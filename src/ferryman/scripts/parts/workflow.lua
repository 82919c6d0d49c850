-- Mark 'w': the task is a node of a workflow, and its id is <flow>:<node>; what its end means for the other nodes.
-- flow:<flow> HASH: left (nodes that have not ended), failed (the node that stopped it), undoing, abandoned, and by node
-- n:<node> what it is, s:<node> its last end, i:<node> its failure is ignored, u:<node> its compensation, p:<node> how long (ms)
-- its result is kept after the flow. waits:<id> SET of the ids it waits for, next:<id> LIST of those that wait for it,
-- flow-log:<flow> LIST of completed nodes that can be undone, flow-pins:<flow> LIST of nodes whose results others read.
-- Who takes an id out of `waits` goes on with it, so a node is released once, whatever is sent again.
-- A script takes so many steps; flow-steps LIST of "<what> <id or flow>" holds the rest, and `advance` goes on with that.
-- It runs after a transition's own writes, so it never raises: what is damaged is passed over.
-- part: awaited
-- part: expiring
-- part: lane
local flow_root, flow_budget, flow_stops, flow_at = KEYS[#KEYS], 100, {}, nil

local function flow_of(id) return string.match(id, '^([^:]+):(.+)$') end

local function flow_number(reply) return type(reply) == 'number' and reply or 0 end

local function flow_word(flow, field)
  local word = redis.pcall('HGET', flow_root .. 'flow:' .. flow, field)
  return type(word) == 'string' and word
end

local function flow_now()
  if not flow_at then
    local clock = redis.call('TIME')
    flow_at = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
  end
  return flow_at
end

-- Whether none of its nodes may begin any more.
local function flow_stopped(flow)
  if flow_stops[flow] == nil then flow_stops[flow] = flow_word(flow, 'failed') or flow_word(flow, 'abandoned') end
  return flow_stops[flow]
end

local function flow_later(what, about) redis.pcall('RPUSH', flow_root .. 'flow-steps', what .. ' ' .. about) end

-- The node has ended for good. After the last one what was kept for the others may go.
local function flow_ended(flow, node, how)
  local before = flow_word(flow, 's:' .. node)
  redis.pcall('HSET', flow_root .. 'flow:' .. flow, 's:' .. node, how)
  if before == 'completed' or before == 'discarded' then return end
  if redis.pcall('HINCRBY', flow_root .. 'flow:' .. flow, 'left', -1) == 0 then flow_later('end', flow) end
end

-- Blocked -> waiting, or to its lane. What can't be written now is tried again by `advance`.
local function flow_let_go(id)
  local hash = flow_root .. 'task:' .. id
  local at = flow_now()
  local f = redis.pcall('HMGET', hash, 'state', 'score', 'marks', 'lane', 'priority')
  if f.err or f[1] ~= 'blocked' then return end
  local in_lane = f[3] and string.find(f[3], 'l', 1, true) and lane_enter(id, f[4] or nil, f[5], at)
  if not in_lane and not lane_to_waiting(id, f[2] and string.match(f[2], '^%-?%d+$'), at) then return flow_later('free', id) end
  redis.pcall('HINCRBY', hash, 'released', 1)
end

-- Blocked -> discarded. False when it is not blocked (any more).
local function flow_drop(id, cause)
  local hash = flow_root .. 'task:' .. id
  local at = flow_now()
  local f = redis.pcall('HMGET', hash, 'state', 'marks')
  redis.pcall('DEL', flow_root .. 'waits:' .. id)
  if f.err or f[1] ~= 'blocked' or redis.pcall('ZREM', flow_root .. 'blocked', id) ~= 1 then return false end
  if redis.pcall('HGET', flow_root .. 'config', 'completed_ms') == '0' then
    redis.pcall('UNLINK', hash)
  else
    redis.pcall('HSET', hash, 'state', 'discarded', 'why', 'workflow', 'finished_ms', at, 'error', 'its workflow ended before it: ' .. cause)
    redis.pcall('HDEL', hash, 'args', 'options', 'score', 'marks', 'expires_ms')
    redis.pcall('ZADD', flow_root .. 'completed', at, id)
  end
  redis.pcall('HINCRBY', flow_root .. 'stats', 'discarded', 1)
  local marks = f[2] or ''
  if string.find(marks, 'e', 1, true) then expiring(id, 'discarded') end
  if string.find(marks, 'a', 1, true) then awaited(id, 'discarded', 'workflow') end
  return true
end

-- Goes on from a node that has ended: 'release' those that wait for it, or 'drop' them, and those that wait for them.
local function flow_walk(what, from)
  local work, i = {{what, from}}, 1
  while work[i] do
    local how, id = unpack(work[i])
    local list, flow = flow_root .. 'next:' .. id, flow_of(id)
    local length = flow_number(redis.pcall('LLEN', list))
    local most = math.min(length, math.max(flow_budget, 0))
    local followers = most > 0 and redis.pcall('LRANGE', list, 0, most - 1) or {}
    if most > 0 then redis.pcall('LTRIM', list, most, -1) end
    flow_budget = flow_budget - most
    if length > most then flow_later(how, id) end
    for _, follower in ipairs(followers) do
      if redis.pcall('SREM', flow_root .. 'waits:' .. follower, id) == 1 then
        if how == 'release' and not flow_stopped(flow) then
          if flow_number(redis.pcall('SCARD', flow_root .. 'waits:' .. follower)) == 0 then flow_let_go(follower) end
        elseif flow_drop(follower, id) then
          local _, node = flow_of(follower)
          flow_ended(flow, node, 'discarded')
          local ignored = flow_word(flow, 'i:' .. node) and not flow_stopped(flow)
          work[#work + 1] = {ignored and 'release' or 'drop', follower}
        end
      end
    end
    i = i + 1
  end
end

-- The latest completed node that can be undone: its compensation waits for a worker. One at a time, so in reverse order.
local function flow_undo(flow)
  if flow_word(flow, 'undoing') then return end
  local node = redis.pcall('RPOP', flow_root .. 'flow-log:' .. flow)
  if type(node) ~= 'string' then return end
  local sound, undo = pcall(cjson.decode, flow_word(flow, 'u:' .. node) or '')
  if not sound or type(undo) ~= 'table' then return end
  local id, at, key = flow .. ':undo:' .. node, flow_now(), flow_root .. 'flow:' .. flow
  redis.pcall('HSET', key, 'undoing', node, 'n:undo:' .. node, cjson.encode({task = undo.name, undoes = node}))
  redis.pcall('HINCRBY', key, 'left', 1)
  redis.pcall('HSET', flow_root .. 'task:' .. id, 'name', undo.name, 'args', undo.args, 'options', undo.options, 'state', 'waiting',
    'enqueued_ms', at, 'since_ms', at, 'marks', 'w', 'flow', flow)
  redis.pcall('LPUSH', flow_root .. 'waiting', id)
  redis.pcall('HINCRBY', flow_root .. 'stats', 'enqueued', 1)
end

-- A flow with a compensation gives up when one of its nodes does.
local function flow_fail(flow, node)
  if flow_word(flow, 'undoes') and not flow_word(flow, 'failed') then
    redis.pcall('HSET', flow_root .. 'flow:' .. flow, 'failed', node)
    flow_stops[flow] = node
    flow_undo(flow)
  end
end

local function flow_left(id, fate)
  local flow, node = flow_of(id)
  if fate ~= 'completed' and fate ~= 'dead' and fate ~= 'discarded' then return end
  if not flow or redis.pcall('EXISTS', flow_root .. 'flow:' .. flow) ~= 1 then return end
  local ignored = flow_word(flow, 'i:' .. node)
  if string.find(node, '^undo:') then
    if fate == 'dead' then redis.pcall('HSET', flow_root .. 'flow:' .. flow, 's:' .. node, fate) return end
    redis.pcall('HDEL', flow_root .. 'flow:' .. flow, 'undoing')
    flow_undo(flow)
    flow_ended(flow, node, fate)
  elseif fate == 'completed' then
    if flow_word(flow, 'u:' .. node) then
      redis.pcall('RPUSH', flow_root .. 'flow-log:' .. flow, node)
      if flow_word(flow, 'failed') then flow_undo(flow) end
    end
    flow_ended(flow, node, fate)
    flow_walk('release', id)
  else
    if not ignored then flow_fail(flow, node) end
    if fate == 'discarded' then
      redis.pcall('DEL', flow_root .. 'waits:' .. id)
      flow_ended(flow, node, fate)
    else
      redis.pcall('HSET', flow_root .. 'flow:' .. flow, 's:' .. node, fate)
    end
    -- Those who wait for a dead one go on waiting: a person may revive it.
    if ignored and not flow_stopped(flow) then flow_walk('release', id)
    elseif fate == 'discarded' or flow_stopped(flow) then flow_walk('drop', id) end
  end
end
