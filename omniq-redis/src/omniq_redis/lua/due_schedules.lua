-- uses: schedules
-- read-only
-- Input: limit. Returns (id, schedule) pairs by (next_run, id).
local found = {}
for i, id in ipairs(call('ZRANGEBYSCORE', P .. 'schedule-due', '-inf', now, 'LIMIT', 0, input)) do
  found[i] = {id, schedule_of(id)}
end
return cmsgpack.pack(found)
