-- uses: outcomes
-- read-only
-- Input: after, limit. Returns where to go on (false: at the end), and (id, result) pairs.
local ids = call('ZRANGEBYLEX', P .. 'result-ids', input[1] and '(' .. input[1] or '-', '+', 'LIMIT', 0, 200)
local found, bytes, last = {}, 0, false
for i, id in ipairs(ids) do
  local packed = call('HGET', P .. 'results', id)
  local result = packed and cmsgpack.unpack(packed)
  if result and not (result[R_EXPIRES] and result[R_EXPIRES] <= now) then
    found[#found + 1] = {id, result}
    bytes = bytes + #packed
  end
  last = (i == 200 or #found >= input[2] or bytes > 4000000) and id
  if #found >= input[2] or bytes > 4000000 then
    break
  end
end
return cmsgpack.pack({last, found})
