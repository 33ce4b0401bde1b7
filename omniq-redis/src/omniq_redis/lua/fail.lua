-- uses: tasks log outcomes transitions
-- Input: (id, seq, epoch, nonce, result, error, retry_at) of each run. Returns replies: words, or the new state.
local replies = settle(input, function(s, h, item)
  if h[CANCEL] == 1 then
    finish_task(s, h, CANCELLED, CANCELLED_EVENT, true, item[6], item[5])
  elseif item[7] and h[ATTEMPTS] < h[MAX_ATTEMPTS] then
    back(s, h, RETRYING, item[7], item[6])
  else
    finish_task(s, h, FAILED, FAILED_EVENT, true, item[6], item[5])
  end
end)
finish()
return cmsgpack.pack(replies)
