-- start_flow: a workflow that was sent in several batches is complete: its first nodes, blocked -> waiting
-- KEYS[1] flow (HASH)   KEYS[2] flow-sending (ZSET)   KEYS[3] the queue's root (prefix)
-- ARGV[1] flow
-- Returns {'started'}, {'partial', nodes that are there}, {'discarded'} when it was given up half sent, or {'missing'}
-- Harmless to repeat. What this call has no time for goes on in `advance`.
local flow, sending = unpack(KEYS)
-- part: workflow

local f = redis.call('HMGET', flow, 'nodes', 'planted', 'abandoned')
redis.call('ZCARD', sending)
if not f[1] then return {'missing'} end
if f[3] then return {'discarded'} end
if f[1] ~= f[2] then return {'partial', f[2]} end

redis.call('ZREM', sending, ARGV[1])
flow_walk('release', ARGV[1] .. ':@')
lanes_settle()
return {'started'}
