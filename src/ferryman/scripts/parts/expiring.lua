-- Mark 'e': the task has a deadline (field `expires_ms`), and stands in the ZSET `expiring` by it until it has ended.
local function expiring(id, fate)
  if fate == 'completed' or fate == 'dead' or fate == 'discarded' then redis.pcall('ZREM', KEYS[#KEYS] .. 'expiring', id) end
end
