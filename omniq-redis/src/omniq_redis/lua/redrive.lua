-- uses: tasks log outcomes transitions
-- Input: ids. Returns words.
find(input)
local replies = {}
for i, id in ipairs(input) do
  local s = seq_of(id)
  local h = s and head_of(s)
  local field = h and h[UNIQUE] and unique_field(h[QUEUE], h[UNIQUE])
  if not h then
    replies[i] = 'missing'
  elseif h[STATE] ~= FAILED and h[STATE] ~= CANCELLED then
    replies[i] = 'invalid'
  elseif field and holder_of(field) then
    replies[i] = 'conflict'
  else
    if field then
      call('HSET', P .. 'unique', field, s)
    end
    if h[SERIES] then
      call('SREM', P .. 'series:' .. h[SERIES], s)
    end
    h[EPOCH], h[ATTEMPTS] = h[EPOCH] + 1, 0
    h[ERROR] = false
    setmetatable(h, rest_of(cmsgpack.pack(
      h[QUEUE], h[PRIORITY], h[MAX_ATTEMPTS], h[ETA], h[UNIQUE], false, h[INTERVAL], false, false,
      h[PINNED], h[FUNC], h[TTL]
    )))
    back(s, h, REDRIVEN, now)
    h[FINISHED] = false
    replies[i] = 'ok'
  end
end
finish()
return cmsgpack.pack(replies)
