-- uses: schedules
-- read-only
-- Input: after, limit. Returns (id, schedule) pairs, at most 200.
local limit = math.min(200, input[2])
local found = {}
for i, id in ipairs(call('ZRANGEBYLEX', P .. 'schedule-ids', input[1] and '(' .. input[1] or '-', '+', 'LIMIT', 0, limit)) do
  found[i] = {id, schedule_of(id)}
end
return cmsgpack.pack(found)
