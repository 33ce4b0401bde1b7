-- uses: tasks log outcomes transitions
-- Input: (id, seq, epoch, nonce, of its result run, outcome, ttl, then error, retry_at) of each run. Returns replies: words, or the new state.
local replies = settle(input, function(s, h, item)
  if h[CANCEL] == 1 then
    finish_task(s, h, CANCELLED, CANCELLED_EVENT, true, item[8], item[5] and item)
  elseif item[9] and h[ATTEMPTS] < h[MAX_ATTEMPTS] then
    back(s, h, RETRYING, item[9], item[8])
  else
    finish_task(s, h, FAILED, FAILED_EVENT, true, item[8], item[5] and item)
  end
end)
finish()
return cmsgpack.pack(replies)
