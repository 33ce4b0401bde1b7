-- uses: log outcomes tasks transitions
-- Input: specs. Returns for each the id that stands for it, or true if it is new.
local ids, replies = {}, {}
for i, spec in ipairs(input) do
  ids[i] = spec[1]
end
find(ids)
for i, spec in ipairs(input) do
  local id, created = create(spec)
  replies[i] = created or id
end
finish()
return cmsgpack.pack(replies)
