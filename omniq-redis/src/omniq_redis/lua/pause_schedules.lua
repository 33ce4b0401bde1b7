-- uses: schedules
-- Input: ids, whether they are paused from now on. Returns the changed schedules, false where nothing changed.
local replies = {}
for i, id in ipairs(input[1]) do
  local schedule = schedule_of(id)
  replies[i] = false
  if schedule and schedule[S_PAUSED] ~= input[2] then
    schedule[S_VERSION], schedule[S_PAUSED] = schedule[S_VERSION] + 1, input[2]
    save_schedule(id, schedule)
    replies[i] = schedule
  end
end
flush_moves()
return cmsgpack.pack(replies)
