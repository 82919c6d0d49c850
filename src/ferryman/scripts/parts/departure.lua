-- What follows when a task with a `marks` field leaves its worker, or ends: somebody has to be told, or waits for its place.
-- fate: 'completed', 'dead', 'discarded' (its end); 'retried', 'requeued', 'recovered' (it left its worker, and goes on).
-- Called after the transition's own writes, so it never raises: damage in somebody else's key must not stop this exit.
-- `lane` is for scripts that have removed the task's record by then: its field `lane`, as read.
-- `why` is for a task that was discarded because it was 'cancelled' while it ran, or had 'expired'.
-- part: awaited
-- part: expiring
-- part: lane
-- part: workflow
local function departed(id, marks, fate, lane, why)
  if string.find(marks, 'e', 1, true) then expiring(id, fate) end
  if string.find(marks, 'a', 1, true) then awaited(id, fate, why) end
  if string.find(marks, 'w', 1, true) then flow_left(id, fate) end
  if string.find(marks, 'l', 1, true) then
    if lane == nil then lane = redis.pcall('HGET', KEYS[#KEYS] .. 'task:' .. id, 'lane') end
    lane_left(id, type(lane) == 'string' and lane or nil, fate)
  end
  lanes_settle()
end
