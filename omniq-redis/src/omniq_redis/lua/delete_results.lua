-- Input: ids. Returns of each whether it was there.
local replies = {}
for i, id in ipairs(input) do
  replies[i] = call('HDEL', P .. 'results', id) == 1
  move(P .. 'result-ids', id, false)
  move(P .. 'result-expiry', id, false)
end
flush_moves()
return cmsgpack.pack(replies)
