-- advance: what the ends of workflows' nodes set off and no exit had the time for: blocked -> waiting | discarded (bounded)
-- KEYS[1] flow-steps (LIST)   KEYS[2] flow-sending (ZSET)   KEYS[3] config (HASH)   KEYS[4] the queue's root (prefix)
-- ARGV[1] limit   ARGV[2] for how long (ms) a workflow may be half sent
-- A workflow whose producer ended before all of it was sent is discarded. One whose nodes have all ended is forgotten after
-- the retention of completed tasks, and so are the results that were kept for its nodes.
-- Returns {steps gone, steps left, workflows discarded half sent}; call again while steps are left
local steps, sending, config = unpack(KEYS)
-- part: workflow
local root = flow_root

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

redis.call('LLEN', steps)
local late = redis.call('ZRANGEBYSCORE', sending, '-inf', now - tonumber(ARGV[2]), 'LIMIT', 0, 10)
local keep_ms = math.max(tonumber(redis.call('HGET', config, 'completed_ms') or '3600000') or 3600000, 60000)
flow_budget = tonumber(ARGV[1])

local function forget(flow)
  local pins = root .. 'flow-pins:' .. flow
  local nodes = redis.pcall('LRANGE', pins, 0, flow_budget - 1)
  for _, node in ipairs(nodes) do
    redis.pcall('PEXPIRE', root .. 'result:' .. flow .. ':' .. node, flow_word(flow, 'p:' .. node) or keep_ms)
  end
  redis.pcall('LTRIM', pins, math.max(#nodes, 1), -1)
  flow_budget = flow_budget - #nodes
  if flow_number(redis.pcall('LLEN', pins)) > 0 then return flow_later('end', flow) end
  redis.pcall('UNLINK', root .. 'flow-log:' .. flow, root .. 'next:' .. flow .. ':@')
  redis.pcall('PEXPIRE', root .. 'flow:' .. flow, keep_ms)
end

for _, flow in ipairs(late) do
  redis.call('ZREM', sending, flow)
  redis.pcall('HSET', root .. 'flow:' .. flow, 'abandoned', 1)
  redis.pcall('PEXPIRE', root .. 'flow:' .. flow, keep_ms)
  flow_walk('drop', flow .. ':@')
end
local gone = 0
while flow_budget > 0 do
  local step = redis.call('LPOP', steps)
  if not step then break end
  local what, about = string.match(step, '^(%l+) (.+)$')
  if what == 'end' then forget(about)
  elseif what == 'free' then flow_let_go(about)
  elseif what then flow_walk(what, about) end
  flow_budget, gone = flow_budget - 1, gone + 1
end
lanes_settle()
return {gone, redis.call('LLEN', steps), #late}
