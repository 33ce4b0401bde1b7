-- uses: schedules
-- Input: id, the schedule, the expected version (false: any). Returns the version and created_at; false: another version.
local id, schedule, expected = input[1], input[2], input[3]
local old = schedule_of(id)
if expected and expected ~= (old and old[S_VERSION] or 0) then
  return false
end
schedule[S_VERSION] = old and old[S_VERSION] + 1 or now
schedule[S_CREATED] = old and old[S_CREATED] or now
save_schedule(id, schedule)
flush_moves()
return cmsgpack.pack({schedule[S_VERSION], schedule[S_CREATED]})
