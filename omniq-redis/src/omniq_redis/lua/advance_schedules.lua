-- uses: schedules
-- Input: advances. Returns of each whether the version was the expected one.
local replies = {}
for i, step in ipairs(input) do
  replies[i] = advance(step)
end
flush_moves()
return cmsgpack.pack(replies)
