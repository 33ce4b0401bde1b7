-- Input: before, limit, and the position to start after. Removes old events, the first in the log first. Returns where to
-- go on (false: at the end), and how many were removed.
local before, limit = input[1], input[2]
local lag = tonumber(call('HGET', P .. 'meta', 'lag') or 0)
local page = call('XRANGE', P .. 'events', input[3] and '(' .. input[3] or '-', '+', 'COUNT', 500)
local removed, cursor = {}, false
for i, entry in ipairs(page) do
  local event = cmsgpack.unpack(entry[2][2])
  if #removed >= limit or event[5] - lag >= before then
    cursor = false -- none of those that follow is older than this one by more than the lag
    break
  end
  cursor = i == 500 and entry[1]
  if event[5] < before then
    removed[#removed + 1] = entry[1]
    local history = call('HGET', P .. 'history', event[1]) or ''
    for start, position, finish in history:gmatch('();[^;=]+=(%d+%-%d+)()') do
      if position == entry[1] then
        history = history:sub(1, start - 1) .. history:sub(finish)
        break
      end
    end
    if history == '' then
      call('HDEL', P .. 'history', event[1])
    else
      call('HSET', P .. 'history', event[1], history)
    end
  end
end
call_in_parts('XDEL', P .. 'events', removed)
return cmsgpack.pack({cursor, #removed})
