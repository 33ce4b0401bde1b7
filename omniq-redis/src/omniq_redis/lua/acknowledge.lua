-- uses: tasks
-- Input: seqs and versions of outbox entries.
for _, entry in ipairs(input) do
  local mark = string.format('%d:%d', entry[1], entry[2])
  if call('ZREM', P .. 'outbox', mark) == 1 then
    call('HDEL', P .. 'outbox-entries', mark)
    local s = seq_text(entry[1])
    if call('HINCRBY', P .. 'outbox-counts', s, -1) <= 0 then
      call('HDEL', P .. 'outbox-counts', s)
    end
  end
end
return false
