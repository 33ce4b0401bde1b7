-- uses: tasks log outcomes transitions
-- Input: tasks in groups: either one specification, as `create` takes it, or {queue, priority, the packed rest of the heads,
-- ids, bodies} of new tasks that differ in nothing else. Returns for each the id that stands for it, or true if it is new.
local replies = {}

-- What all heads and events of such a group have in common, packed: everything between the id and the marks, and
-- everything behind the seq.
local function fields(values)
  return cmsgpack.pack(values):sub(2) -- without the header of a list of at most 15
end

local FRESH = fields({PENDING, 1, 0, 0, '', now, false, 0, false, false, false})
local EVENT, AT = '\157', cmsgpack.pack(now)

local function create_alike(name, priority, rest, ids, given)
  find(ids)
  local event_end = fields({1, ENQUEUED, now, name, PENDING, 0, 0, now, false, false, false})
  local key, number = ready_key(priority, name), 0
  local at = text_of(now)
  for i, id in ipairs(ids) do
    if index[id] then
      replies[#replies + 1] = id
    else
      local s, packed_id, marks = new_seq(), text_heads[#id] .. id, ''
      local packed = EVENT .. packed_id .. cmsgpack.pack(last_seq) .. event_end
      if EVENTS_JOINED then
        marks = ';1=' .. call('XADD', LOG, '*', 'e', packed)
        noted = true
      else
        entries[#entries + 1] = text_of(last_seq) .. ':1'
        entries[#entries + 1] = packed
        unacknowledged[s] = 1
      end
      raw[s] = HEADER .. packed_id .. FRESH .. text_heads[#marks] .. marks .. AT .. rest
      bodies[s], heads[s], index[id] = given[i], nil, s
      local n = #new_ids
      new_ids[n + 1] = id
      new_ids[n + 2] = s
      move(key, s, at)
      number = number + 1
      replies[#replies + 1] = true
    end
  end
  if number > 0 then
    admit(name, priority, number)
    wakes[name] = (wakes[name] or 0) + number
  end
end

for _, group in ipairs(input) do
  if group[6] == nil then
    create_alike(group[1], group[2], group[3], group[4], group[5])
  else
    local id, created = create(group)
    replies[#replies + 1] = created or id
  end
end
finish()
return cmsgpack.pack(replies)
