-- uses: schedules
-- read-only
-- Input: ids. Returns schedules, false for an unknown id.
local found = {}
for i, id in ipairs(input) do
  found[i] = schedule_of(id)
end
return cmsgpack.pack(found)
