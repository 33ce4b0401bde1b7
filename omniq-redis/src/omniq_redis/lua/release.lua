-- uses: tasks log outcomes transitions
-- Input: (id, seq, epoch, nonce, ready_at) of each run. Returns replies: words, or the new state.
local replies = settle(input, function(s, h, item)
  if h[CANCEL] == 1 then
    finish_task(s, h, CANCELLED, CANCELLED_EVENT, true)
  else
    h[ATTEMPTS] = h[ATTEMPTS] - 1
    back(s, h, RELEASED, item[5])
  end
end)
finish()
return cmsgpack.pack(replies)
