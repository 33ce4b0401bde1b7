-- Input: limit. Removes expired results, the first to expire first; returns how many.
local ids = call('ZRANGEBYSCORE', P .. 'result-expiry', '-inf', now, 'LIMIT', 0, input)
call_in_parts('HDEL', P .. 'results', ids)
for _, id in ipairs(ids) do
  move(P .. 'result-ids', id, false)
  move(P .. 'result-expiry', id, false)
end
flush_moves()
return cmsgpack.pack(#ids)
