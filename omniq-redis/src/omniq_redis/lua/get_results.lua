-- uses: outcomes
-- read-only
-- Input: ids. Returns results, false where there is none or it has expired.
local found = {}
for i, id in ipairs(input) do
  local packed = call('HGET', P .. 'results', id)
  local result = packed and cmsgpack.unpack(packed)
  found[i] = result and not (result[R_EXPIRES] and result[R_EXPIRES] <= now) and result
end
return cmsgpack.pack(found)
