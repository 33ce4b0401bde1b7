-- read-only
-- Input: limit, min_age, and the position to start after. Returns where to go on (false: at the end), and entries.
local cutoff, found, blocked, last = now - input[2], {}, {}, input[3]
local looked = 0
while #found < input[1] do
  local page = call('ZRANGEBYSCORE', P .. 'outbox', '(' .. last, '+inf', 'WITHSCORES', 'LIMIT', 0, 500)
  if not page[1] or looked > 20000 then
    break
  end
  local marks = {}
  for i = 1, #page, 2 do
    marks[#marks + 1] = page[i]
  end
  last, looked = page[#page], looked + #marks
  for i, packed in ipairs(call('HMGET', P .. 'outbox-entries', unpack(marks))) do
    local seq = marks[i]:match('^%d+')
    if #found < input[1] and packed and not blocked[seq] then
      if cmsgpack.unpack(packed)[5] <= cutoff then
        found[#found + 1] = packed
      else
        blocked[seq] = true
      end
    end
  end
end
return cmsgpack.pack(found)
