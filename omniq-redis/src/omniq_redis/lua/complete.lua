-- uses: tasks log outcomes transitions
-- Input: (id, seq, epoch, nonce, result) of each run. Returns replies.
local replies = settle(input, function(s, h, item)
  finish_task(s, h, COMPLETED, COMPLETED_EVENT, true, false, item[5])
  return 'ok'
end)
finish()
return cmsgpack.pack(replies)
