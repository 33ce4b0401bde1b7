-- Results: the hash `results` by task id, the sorted set `result-ids` for listing, `result-expiry` by expires_at.
local R_SEQ, R_EPOCH, R_STORED, R_EXPIRES, R_STATUS, R_CODEC, R_VALUE, R_ERROR, R_TOLD, R_TTL = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10

-- Stores an outcome unless a later one is stored; tells whether it is the stored one now.
local function put_result(id, result)
  result[R_STORED] = now
  result[R_EXPIRES] = result[R_TTL] and now + result[R_TTL]
  local packed = cmsgpack.pack(result)
  if call('HSETNX', P .. 'results', id, packed) == 0 then
    local old = cmsgpack.unpack(call('HGET', P .. 'results', id))
    local seq, epoch = result[R_SEQ], result[R_EPOCH]
    if old[R_SEQ] > seq or (old[R_SEQ] == seq and old[R_EPOCH] > epoch) then
      return false
    end
    call('HSET', P .. 'results', id, packed)
  end
  move(P .. 'result-ids', id, 0)
  move(P .. 'result-expiry', id, result[R_EXPIRES])
  return true
end
