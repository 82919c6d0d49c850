-- recover_handed: forgotten in handed -> front of waiting (one look, bounded)
-- KEYS[1] handed (LIST)   KEYS[2] handed_seen (HASH)   KEYS[3] waiting (LIST)
-- ARGV[1] limit
-- Returns how many went back. An entry goes back when it was seen on two looks 2 s apart; if its worker still
-- fetches by that name, it finds it in waiting. Markers all look alike, so some may go back early: harmless.
local handed, handed_seen, waiting = unpack(KEYS)
local FORGOTTEN_MS = 2000

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local entries = redis.call('LRANGE', handed, -tonumber(ARGV[1]), -1)
if #entries == 0 then
  redis.call('DEL', handed_seen)
  return 0
end
redis.call('LLEN', waiting)
local seen = redis.call('HMGET', handed_seen, unpack(entries))

redis.call('DEL', handed_seen)
local returned = 0
for i, entry in ipairs(entries) do
  local first = tonumber(seen[i] or now) or now
  if now - first >= FORGOTTEN_MS then
    redis.call('LREM', handed, -1, entry)
    redis.call('RPUSH', waiting, entry)
    returned = returned + 1
  else
    redis.call('HSET', handed_seen, entry, first)
  end
end
return returned
