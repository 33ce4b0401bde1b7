-- uses: outcomes
-- Input: (id, status, run, outcome, ttl) of each. Returns of each whether it is the stored one now.
local replies = {}
for i, result in ipairs(input) do
  replies[i] = put_result(unpack(result))
end
flush_moves()
return cmsgpack.pack(replies)
