-- uses: tasks log outcomes transitions
-- Input: items (id, seq, epoch, nonce) and the lease. Returns words.
local leases = {}
local replies = settle(input[1], function(s, h)
  local key = P .. 'leases:' .. h[QUEUE]
  leases[key] = leases[key] or {}
  table.insert(leases[key], now + input[2])
  table.insert(leases[key], s)
  return h[CANCEL] == 1 and 'cancel' or 'ok'
end)
for key, arguments in pairs(leases) do
  for first = 1, #arguments, 4000 do
    call('ZADD', key, 'GT', unpack(arguments, first, math.min(first + 3999, #arguments)))
  end
end
for i, reply in ipairs(replies) do
  if reply == 'already' then
    replies[i] = 'lost'
  end
end
return cmsgpack.pack(replies)
