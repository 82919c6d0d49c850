-- set_policy: the TaskQueue's policy -> config
-- KEYS[1] config (HASH)
-- ARGV: field, value...; the generation among them. Fields that are not named stay.
-- Returns how many fields were written
redis.call('HLEN', KEYS[1])
for i = 1, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return #ARGV / 2
