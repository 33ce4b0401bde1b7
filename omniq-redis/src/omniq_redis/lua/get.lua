-- uses: tasks records
-- read-only
-- Input: ids. Returns records, false for an unknown id.
find(input)
local seqs, found = {}, {}
for _, id in ipairs(input) do
  seqs[#seqs + 1] = index[id] or nil
end
fetch(seqs)
for i, id in ipairs(input) do
  found[i] = index[id] and record_of(index[id])
end
return cmsgpack.pack(found)
