-- uses: tasks
-- read-only
-- Returns of each queue: name, paused, scheduled, ready, expired, running, stale, completed, failed, cancelled, oldest.
local function expired_of(name)
  local seqs = call('ZRANGEBYSCORE', P .. 'expiry:' .. name, '-inf', now)
  fetch(seqs)
  local set, late, total = {}, 0, 0
  for _, s in ipairs(seqs) do
    if heads[s] then
      set[s] = true
      total = total + 1
      if heads[s][READY] > now then
        late = late + 1
      end
    end
  end
  return set, total, late
end

local function oldest_ready(key, expired)
  local offset = 0
  while true do
    local page = call('ZRANGEBYSCORE', key, '-inf', now, 'WITHSCORES', 'LIMIT', offset, 20)
    for i = 1, #page, 2 do
      if not expired[page[i]] then
        return tonumber(page[i + 1])
      end
    end
    if #page < 40 then
      return false
    end
    offset = offset + 20
  end
end

local stats = {}
for _, name in ipairs(call('HKEYS', P .. 'queues')) do
  local queue = queue_of(name)
  local expired, total, late = expired_of(name)
  local ready, scheduled, oldest = late - total, -late, false
  for priority in queue[PRIORITIES]:gmatch('%d') do
    local key = ready_key(priority, name)
    local possible = call('ZCOUNT', key, '-inf', now)
    ready = ready + possible
    scheduled = scheduled + call('ZCARD', key) - possible
    local at = oldest_ready(key, expired)
    if at and (not oldest or at < oldest) then
      oldest = at
    end
  end
  local leases = P .. 'leases:' .. name
  stats[#stats + 1] = {
    name, queue[PAUSED], scheduled, ready, total, call('ZCARD', leases), call('ZCOUNT', leases, '-inf', now),
    queue[4], queue[5], queue[6], oldest,
  }
end
return cmsgpack.pack(stats)
