-- uses: tasks log outcomes transitions
-- Input: ids. Returns words.
find(input)
local replies = {}
for i, id in ipairs(input) do
  local s = seq_of(id)
  local h = s and head_of(s)
  if not h then
    replies[i] = 'missing'
  elseif h[STATE] == PENDING then
    finish_task(s, h, CANCELLED, CANCELLED_EVENT, false)
    replies[i] = 'cancelled'
  elseif h[STATE] == RUNNING then
    if h[CANCEL] == 0 then
      h[CANCEL] = 1
      step(s, h, CANCEL_REQUESTED, RUNNING, false)
    end
    replies[i] = 'requested'
  else
    replies[i] = 'finished'
  end
end
finish()
return cmsgpack.pack(replies)
