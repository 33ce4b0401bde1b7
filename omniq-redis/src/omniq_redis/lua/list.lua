-- uses: tasks records
-- read-only
-- Input: filter, after, limit, desc. Returns where to go on (false: at the end), and records.
local found, limit, bytes = {}, input[3], 0
local cursor = scan(input[1], input[2], input[4], function(s)
  local record = record_of(s)
  found[#found + 1] = record
  bytes = bytes + #(record[4] or '')
  return #found >= limit or bytes > 4000000
end)
return cmsgpack.pack({cursor, found})
