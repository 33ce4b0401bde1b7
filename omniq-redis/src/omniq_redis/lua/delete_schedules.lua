-- Input: ids. Returns of each whether it was there.
local replies = {}
for i, id in ipairs(input) do
  replies[i] = call('HDEL', P .. 'schedules', id) == 1
  move(P .. 'schedule-ids', id, false)
  move(P .. 'schedule-due', id, false)
end
flush_moves()
return cmsgpack.pack(replies)
