-- read-only
local last = call('XREVRANGE', P .. 'log', '+', '-', 'COUNT', 1)[1]
return cmsgpack.pack(last and last[1] or '0-0')
