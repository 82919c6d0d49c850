-- Mark 'a': the result of this task is kept, or somebody waits for its end. Word of an end goes to those who wait, each
-- of whom has a list of its own (told:<waiter>, where it blocks); an end that leaves no record leaves a word behind.
-- STRING result:<id>: '=' and the result (JSON), '!' and why there is none, or '-' and why the task was discarded.
local function awaited(id, fate, why)
  local WORD_MS, UNREAD_MS, WAITERS_AT_MOST = 3600000, 60000, 1000
  if fate ~= 'completed' and fate ~= 'dead' and fate ~= 'discarded' then return end
  local root = KEYS[#KEYS]
  if fate == 'discarded' then redis.pcall('SET', root .. 'result:' .. id, '-' .. (why or 'discarded'), 'PX', WORD_MS) end
  local waiters = redis.pcall('SPOP', root .. 'awaiting:' .. id, WAITERS_AT_MOST)
  for _, waiter in ipairs(waiters.err and {} or waiters) do
    redis.pcall('RPUSH', root .. 'told:' .. waiter, id)
    redis.pcall('PEXPIRE', root .. 'told:' .. waiter, UNREAD_MS)
  end
end
