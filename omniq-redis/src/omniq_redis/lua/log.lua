-- The event log: the stream `events`, and in the hash `history` what it has of each task, as ';seq:version=position'
-- for each event. The oldest `at` that can still come is `latest` minus `lag`, which are kept in `meta`.
local function append_events(events)
  if #events == 0 then
    return 0
  end
  local histories, count = {}, 0
  for first = 1, #events, 1000 do
    local ids = {}
    for i = first, math.min(first + 999, #events) do
      ids[#ids + 1] = events[i][1]
    end
    for i, history in ipairs(call('HMGET', P .. 'history', unpack(ids))) do
      histories[ids[i]] = history or ''
    end
  end
  local order = call('HMGET', P .. 'meta', 'latest', 'lag')
  local latest, lag = tonumber(order[1] or 0), tonumber(order[2] or 0)
  local changed = {}
  for _, event in ipairs(events) do
    local id, mark, at, packed = event[1], ';' .. event[2] .. '=', event[3], event[4]
    if not histories[id]:find(mark, 1, true) then
      histories[id] = histories[id] .. mark .. call('XADD', P .. 'events', '*', 'e', packed)
      changed[id] = true
      count = count + 1
      if at > latest then
        latest = at
      elseif latest - at > lag then
        lag = latest - at
      end
    end
  end
  if count == 0 then
    return 0
  end
  local written = {}
  for id in pairs(changed) do
    written[#written + 1] = id
    written[#written + 1] = histories[id]
  end
  call_in_parts('HSET', P .. 'history', written, 2)
  call('HSET', P .. 'meta', 'latest', latest, 'lag', lag)
  publish('log', '')
  return count
end
