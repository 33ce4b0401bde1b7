-- uses: tasks log
-- Input: (task id, 'seq:version', at, the packed event) of each event. Appends those that are not known; returns how many.
local ids, times, histories, known = {}, {}, {}, {}
for i, event in ipairs(input) do
  ids[i] = event[1]
end
find(ids)
local seqs = {}
for _, id in ipairs(ids) do
  seqs[#seqs + 1] = index[id] or nil
end
fetch(seqs)
for _, event in ipairs(input) do
  local id, mark = event[1], ';' .. event[2] .. '='
  if not histories[id] then
    histories[id] = call('HGET', P .. 'history', id) or ''
    known[id] = marks_of(id)
  end
  if not known[id]:find(mark, 1, true) then
    local entry = mark .. call('XADD', LOG, '*', 'e', event[4])
    known[id] = known[id] .. entry
    histories[id] = histories[id] .. entry
    times[#times + 1] = event[3]
  end
end
if #times > 0 then
  local written = {}
  for id, history in pairs(histories) do
    if history ~= '' then
      written[#written + 1] = id
      written[#written + 1] = history
    end
  end
  call_in_parts('HSET', P .. 'history', written, 2)
  note_times(times)
end
return cmsgpack.pack(#times)
