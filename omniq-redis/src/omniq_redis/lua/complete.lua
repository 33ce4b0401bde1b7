-- uses: tasks log outcomes transitions
-- Input: (id, seq, epoch, nonce, and of its result run, outcome, ttl) of each run. Returns replies.
local replies = settle(input, function(s, h, item)
  finish_task(s, h, COMPLETED, COMPLETED_EVENT, true, false, item[5] and item)
  return 'ok'
end)
finish()
return cmsgpack.pack(replies)
