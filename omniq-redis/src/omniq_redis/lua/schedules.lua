-- Schedules: {version, created_at, next_run, last_run, runs, paused, definition} in the hash `schedules`; the sorted sets
-- `schedule-ids` for listing and `schedule-due` by next_run.
local S_VERSION, S_CREATED, S_NEXT, S_LAST, S_RUNS, S_PAUSED, S_DEFINITION = 1, 2, 3, 4, 5, 6, 7

local function schedule_of(id)
  local packed = call('HGET', P .. 'schedules', id)
  return packed and cmsgpack.unpack(packed)
end

local function save_schedule(id, schedule)
  call('HSET', P .. 'schedules', id, cmsgpack.pack(schedule))
  move(P .. 'schedule-ids', id, 0)
  move(P .. 'schedule-due', id, schedule[S_PAUSED] == 0 and schedule[S_NEXT])
end

-- Moves a schedule on: (id, expected version, next_run, last_run, fired). Tells whether its version was the expected one.
local function advance(step)
  local schedule = schedule_of(step[1])
  if not schedule or schedule[S_VERSION] ~= step[2] then
    return false
  end
  schedule[S_VERSION] = schedule[S_VERSION] + 1
  schedule[S_NEXT] = step[3]
  schedule[S_LAST] = step[4] or schedule[S_LAST]
  schedule[S_RUNS] = schedule[S_RUNS] + step[5]
  save_schedule(step[1], schedule)
  return true
end
