-- Plain tasks, which are nearly all: new, for now, in no lane, and they ask for nothing. So a task costs one command and a share.
-- Those that are not all new, and those of a queue with a rate, go on as if they could ask for more.
if ARGV[2] == '4' then
  local ids, hashes = {ARGV[3]}, {task .. ARGV[3]}
  for i = 7, #ARGV, 4 do
    ids[#ids + 1] = ARGV[i]
    hashes[#hashes + 1] = task .. ARGV[i]
  end
  if not rated and redis.call('EXISTS', unpack(hashes)) == 0 then
    local count = redis.call('HGET', stats, 'enqueued')
    if count and not string.find(count, '^%-?%d+$') then return redis.error_reply('REFUSED a counter in stats is no whole number') end
    -- The first write: it is refused where waiting is no list.
    redis.call('LPUSH', waiting, unpack(ids))
    if not protocol then redis.call('HSET', config, 'protocol', ARGV[1]) end
    redis.call('HINCRBY', stats, 'enqueued', #ids)
    for n = 1, #hashes do
      local i = 4 * n
      redis.call('HSET', hashes[n], 'name', ARGV[i], 'args', ARGV[i + 1], 'state', 'waiting', 'since_ms', at, 'enqueued_ms', at)
      if ARGV[i + 2] ~= '' then redis.call('HSET', hashes[n], 'options', ARGV[i + 2]) end
    end
    return 1
  end
  local spread = {ARGV[1], '9'}
  for i = 3, #ARGV, 4 do
    for _, word in ipairs({ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], '0', '0', '0', '', ''}) do spread[#spread + 1] = word end
  end
  ARGV = spread
end
