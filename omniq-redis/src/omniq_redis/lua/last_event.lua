-- read-only
local last = call('XREVRANGE', P .. 'events', '+', '-', 'COUNT', 1)[1]
return cmsgpack.pack(last and last[1] or '0-0')
