-- uses: tasks
-- Input: ids, bell. Returns (id, state or false) of those that are done, and milliseconds until the first of the others
-- expires (false: never). The bell is rung when one of the others ends.
find(input[1])
local seqs, done, earliest = {}, {}, false
for _, id in ipairs(input[1]) do
  seqs[#seqs + 1] = index[id] or nil
end
fetch(seqs)
for _, id in ipairs(input[1]) do
  local h = index[id] and heads[index[id]]
  if not h then
    done[#done + 1] = {id, false}
  elseif h[STATE] >= COMPLETED then
    done[#done + 1] = {id, h[STATE]}
  elseif is_expired(h) then
    done[#done + 1] = {id, FAILED}
  else
    local bells = call('HGET', P .. 'awaited', id) or ''
    if not bells:find(input[2], 1, true) then
      call('HSET', P .. 'awaited', id, bells .. ' ' .. input[2])
    end
    if h[STATE] == PENDING and h[EXPIRES] and (not earliest or h[EXPIRES] < earliest) then
      earliest = h[EXPIRES]
    end
  end
end
return cmsgpack.pack({done, earliest and earliest - now})
