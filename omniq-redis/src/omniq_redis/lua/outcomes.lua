-- Results: the hash `results` by task id, the sorted set `result-ids` for listing, `result-expiry` by expires_at. One is a
-- list of 10: seq, epoch, stored_at, expires_at, status, and then the outcome: codec, value, error, is_told, ttl.
local R_SEQ, R_EPOCH, R_EXPIRES = 1, 2, 4
local LIST = '\154' -- of 10

-- The fields between epoch and outcome, packed, by status and time to live.
local middles = {}

local function middle_of(status, ttl)
  local by_ttl = middles[status]
  if not by_ttl then
    by_ttl = {}
    middles[status] = by_ttl
  end
  local middle = by_ttl[ttl]
  if not middle then
    middle = cmsgpack.pack(now, ttl and now + ttl, status)
    by_ttl[ttl] = middle
  end
  return middle
end

-- Stores an outcome unless that of a later run is stored; tells whether it is the stored one now. The run is its seq and
-- epoch, packed as the outcome is.
local function put_result(id, status, run, outcome, ttl)
  local packed = LIST .. run .. middle_of(status, ttl) .. outcome
  if call('HSETNX', P .. 'results', id, packed) == 0 then
    local old = cmsgpack.unpack(call('HGET', P .. 'results', id))
    local seq, epoch = cmsgpack.unpack(run)
    if old[R_SEQ] > seq or (old[R_SEQ] == seq and old[R_EPOCH] > epoch) then
      return false
    end
    call('HSET', P .. 'results', id, packed)
  end
  move(P .. 'result-ids', id, 0)
  move(P .. 'result-expiry', id, ttl and text_of(now + ttl))
  return true
end
