-- uses: tasks log outcomes transitions schedules
-- Input: specs and an advance. Advances the schedule and enqueues its tasks; false if its version is another.
if not advance(input[2]) then
  return false
end
local replies = {}
for i, spec in ipairs(input[1]) do
  local id, created = create(spec)
  replies[i] = created or id
end
finish()
return cmsgpack.pack(replies)
