-- read-only
-- Input: limit, min_age, the position to start after, and the seqs of tasks that an entry before it holds back. Returns
-- where to go on (false: at the end), the seqs that are held back by now, and entries.
local limit, cutoff, last, blocked, found = input[1], now - input[2], input[3], {}, {}
for _, seq in ipairs(input[4]) do
  blocked[seq] = true
end
local looked = 0
while #found < limit and last and looked < 20000 do
  local page = call('ZRANGEBYSCORE', P .. 'outbox', '(' .. last, '+inf', 'WITHSCORES', 'LIMIT', 0, 500)
  local marks = {}
  for i = 1, #page, 2 do
    marks[#marks + 1] = page[i]
  end
  last, looked = #marks == 500 and page[#page] or false, looked + #marks
  for i, packed in ipairs(marks[1] and call('HMGET', P .. 'outbox-entries', unpack(marks)) or {}) do
    local seq = marks[i]:match('^%d+')
    if #found < limit and packed and not blocked[seq] then
      if cmsgpack.unpack(packed)[5] <= cutoff then
        found[#found + 1] = packed
      else
        blocked[seq] = true
      end
    end
  end
end
local held = {}
for seq in pairs(blocked) do
  held[#held + 1] = seq
end
return cmsgpack.pack({last, held, found})
