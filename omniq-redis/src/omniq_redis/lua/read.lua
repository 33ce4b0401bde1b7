-- uses: tasks log
-- read-only
-- Input: after, limit, desc, filter {task_id, types, queues, from, before}; sets have their members as keys. Returns where
-- to go on (false: at the end), and (position, packed event) pairs.
local after, limit, desc, filter = input[1], input[2], input[3], input[4]
local command, first, last = desc and 'XREVRANGE' or 'XRANGE', desc and '+' or '-', desc and '-' or '+'

local function is_meant(event)
  return (not filter[1] or event[1] == filter[1])
    and (not filter[2] or filter[2][event[4]])
    and (not filter[3] or filter[3][event[6]])
    and (not filter[4] or event[5] >= filter[4])
    and (not filter[5] or event[5] < filter[5])
end

-- Whether a position comes after another in the direction of reading.
local function is_past(position, other)
  local a, b = position:match('(%d+)-(%d+)')
  local x, y = other:match('(%d+)-(%d+)')
  a, b, x, y = tonumber(a), tonumber(b), tonumber(x), tonumber(y)
  if desc then
    a, b, x, y = x, y, a, b
  end
  return a > x or (a == x and b > y)
end

-- The next entries past `after`; those of one task come from its history.
local function entries()
  if not filter[1] then
    return call(command, LOG, after and '(' .. after or first, last, 'COUNT', 500), 500
  end
  local positions, found = {}, {}
  for position in marks_of(filter[1]):gmatch('=(%d+%-%d+)') do
    if not after or is_past(position, after) then
      positions[#positions + 1] = position
    end
  end
  table.sort(positions, function(a, b)
    return is_past(b, a)
  end)
  for _, position in ipairs(positions) do
    if #found < limit + 500 then
      local entry = call('XRANGE', LOG, position, position)[1]
      if entry then
        found[#found + 1] = entry
      end
    end
  end
  return found, limit + 500
end

local found, bytes = {}, 0
local page, full = entries()
for _, entry in ipairs(page) do
  after = entry[1]
  local packed = entry[2][2]
  if is_meant(cmsgpack.unpack(packed)) then
    found[#found + 1] = {entry[1], packed}
    bytes = bytes + #packed
    if #found >= limit or bytes > 4000000 then
      return cmsgpack.pack({after, found})
    end
  end
end
return cmsgpack.pack({#page >= full and after, found})
