-- uses: tasks log
-- Input: before, limit, and the position to start after. Removes old events, the first in the log first. Returns where to
-- go on (false: at the end), and how many were removed.
local before, limit = input[1], input[2]
local lag = tonumber(call('HGET', P .. 'meta', 'lag') or 0)
local page = call('XRANGE', LOG, input[3] and '(' .. input[3] or '-', '+', 'COUNT', 500)
local removed, cursor = {}, false

-- Forgets where an event was.
local function forget(event, position)
  local id = event[1]
  local history = call('HGET', P .. 'history', id)
  for start, found, stop in (history or ''):gmatch('();[^;=]+=(%d+%-%d+)()') do
    if found == position then
      history = history:sub(1, start - 1) .. history:sub(stop)
      if history == '' then
        call('HDEL', P .. 'history', id)
      else
        call('HSET', P .. 'history', id, history)
      end
      return
    end
  end
  local s = seq_of(id)
  local h = s and head_of(s)
  local mark = ';' .. event[3] .. '=' .. position
  local start, stop = (h and h[MARKS] or ''):find(mark, 1, true)
  if start then
    h[MARKS] = h[MARKS]:sub(1, start - 1) .. h[MARKS]:sub(stop + 1)
    saved[s] = true
  end
end

for i, entry in ipairs(page) do
  local event = cmsgpack.unpack(entry[2][2])
  if #removed >= limit or event[5] - lag >= before then
    cursor = false -- none of those that follow is older than this one by more than the lag
    break
  end
  cursor = i == 500 and entry[1]
  if event[5] < before then
    removed[#removed + 1] = entry[1]
    forget(event, entry[1])
  end
end
for s in pairs(saved) do
  call('HSET', P .. 'heads:' .. page_of(s), s, packed_head(heads[s]))
end
call_in_parts('XDEL', LOG, removed)
return cmsgpack.pack({cursor, #removed})
