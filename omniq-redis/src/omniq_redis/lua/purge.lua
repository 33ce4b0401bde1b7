-- uses: tasks log
-- Input: states, before, limit, pinned_before. Returns ids of the tasks that were removed.
local sources = {}
for _, state in ipairs(input[1]) do
  for pinned = 0, 1 do
    sources[#sources + 1] = {
      key = P .. 'ended:' .. state .. ':' .. pinned, before = '(' .. string.format('%.0f', input[pinned == 1 and 4 or 2]),
      offset = 0, page = {}, at = 1,
    }
  end
end

-- The next candidate of a sorted set, which stays until it is taken.
local function peek(source)
  if source.at > #source.page and source.page then
    source.page = call('ZRANGEBYSCORE', source.key, '-inf', source.before, 'WITHSCORES', 'LIMIT', source.offset, 200)
    source.offset, source.at = source.offset + 200, 1
  end
  local s = source.page[source.at]
  return s and {s, tonumber(source.page[source.at + 1]), source}
end

local function best()
  local found = nil
  for _, source in ipairs(sources) do
    local entry = peek(source)
    if entry and (not found or entry[2] < found[2] or (entry[2] == found[2] and entry[1] < found[1])) then
      found = entry
    end
  end
  return found
end

local chosen = {}
while #chosen < input[3] do
  local entry = best()
  if not entry then
    break
  end
  entry[3].at = entry[3].at + 2
  if call('HEXISTS', P .. 'outbox-counts', entry[1]) == 0 then
    chosen[#chosen + 1] = entry[1]
    move(entry[3].key, entry[1], false)
  end
end
fetch(chosen)
local ids, gone, histories = {}, {}, {}
for _, s in ipairs(chosen) do
  local h = heads[s]
  if h then
    ids[#ids + 1] = h[ID]
    if call('HGET', P .. 'ids', h[ID]) == s then
      gone[#gone + 1] = h[ID]
    end
    if h[MARKS] ~= '' then
      histories[#histories + 1] = h[ID]
      histories[#histories + 1] = marks_of(h[ID])
    end
    if h[SERIES] then
      call('SREM', P .. 'series:' .. h[SERIES], s)
    end
    count(h[QUEUE], TASKS, -1)
    count(h[QUEUE], h[STATE] + 2, -1)
  end
end
call_in_parts('HSET', P .. 'history', histories, 2)
call_in_parts('HDEL', P .. 'ids', gone)
for page, group in pairs(by_page(chosen)) do
  call_in_parts('HDEL', P .. 'heads:' .. page, group)
  call_in_parts('HDEL', P .. 'bodies:' .. page, group)
  if call('EXISTS', P .. 'heads:' .. page) == 0 then
    call('ZREM', P .. 'pages', page)
  end
end
flush_moves()
flush_queues()
return cmsgpack.pack(ids)
