-- uses: tasks records
-- read-only
-- Input: filter, after. Returns where to go on (false: at the end), and how many there are up to there.
local number = 0
local cursor = scan(input[1], input[2], false, function()
  number = number + 1
end)
return cmsgpack.pack({cursor, number})
