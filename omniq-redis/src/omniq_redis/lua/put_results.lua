-- uses: outcomes
-- Input: (id, result) pairs. Returns of each whether it is the stored one now.
local replies = {}
for i, pair in ipairs(input) do
  replies[i] = put_result(pair[1], pair[2])
end
flush_moves()
return cmsgpack.pack(replies)
