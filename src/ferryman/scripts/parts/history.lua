-- Field `history` of a task with one more line: a run that did not end well. Successes never come here.
-- Bounded: the latest 10 runs, each with the first line of its error, 400 bytes at most.
-- `history`, `since` (held by its worker from, ms) are as read, so nil or false when missing; `run_ms` nil = not known.
local function remembered(history, worker, attempt, since, now, run_ms, outcome, err)
  local RUNS, ERROR_BYTES = 10, 400
  local line = string.gsub(string.match(err, '^[^\n]*'), '%c', ' ')
  if #line > ERROR_BYTES then line = string.gsub(string.sub(line, 1, ERROR_BYTES - 3), '[\192-\255][\128-\191]*$', '') .. '…' end
  local lines = {}
  for old in string.gmatch(history or '', '[^\n]+') do lines[#lines + 1] = old end
  lines[#lines + 1] = string.format('{"attempt":%d,"started_ms":%.0f,"ended_ms":%.0f,"run_ms":%s,"outcome":"%s","worker":%s,"error":%s}',
    attempt, tonumber(since or '') or now, now, run_ms and string.format('%.0f', run_ms) or 'null', outcome, cjson.encode(worker), cjson.encode(line))
  return table.concat(lines, '\n', math.max(#lines - RUNS + 1, 1))
end
