-- uses: tasks
-- read-only
-- Input: worker, nonce. Returns grants of what still runs under the claim.
local found = {}
for _, name in ipairs(call('HKEYS', P .. 'queues')) do
  local leases = call('ZRANGE', P .. 'leases:' .. name, 0, -1, 'WITHSCORES')
  local seqs = {}
  for i = 1, #leases, 2 do
    seqs[#seqs + 1] = leases[i]
  end
  fetch(seqs)
  for i, s in ipairs(seqs) do
    local h = heads[s]
    if h and h[WORKER] == input[1] and h[NONCE] == input[2] then
      found[#found + 1] = {s, h, tonumber(leases[2 * i])}
    end
  end
end
table.sort(found, function(a, b)
  local x, y = a[2], b[2]
  if x[PRIORITY] ~= y[PRIORITY] then
    return x[PRIORITY] > y[PRIORITY]
  end
  return x[READY] < y[READY] or (x[READY] == y[READY] and a[1] < b[1])
end)
local grants = {}
for i, entry in ipairs(found) do
  local s, h = entry[1], entry[2]
  grants[i] = grant(s, h, entry[3], call('HGET', P .. 'bodies:' .. page_of(s), s))
end
return list_of(grants)
