-- Input: format, min_reader, min_writer, a random id. Makes the namespace unless it exists; returns its format,
-- min_writer and id.
local meta = P .. 'meta'
if call('EXISTS', meta) == 0 then
  call('HSET', meta, 'format', input[1], 'min_reader', input[2], 'min_writer', input[3], 'id', input[4], 'created', now)
end
local found = call('HMGET', meta, 'format', 'min_writer', 'id')
return cmsgpack.pack({tonumber(found[1] or -1), tonumber(found[2] or -1), found[3]})
