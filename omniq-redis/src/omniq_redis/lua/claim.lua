-- uses: tasks log outcomes transitions
-- Input: queues, limit, worker, lease, nonce, max_sweep, bell. Returns grants.
local names, limit, worker, lease, nonce, bell = distinct(input[1]), input[2], input[3], input[4], input[5], input[7]
recover(names, input[6])
flush_moves()

local function used_priorities()
  local used, seen = {}, {}
  for _, name in ipairs(names) do
    for digit in queue_of(name)[PRIORITIES]:gmatch('%d') do
      if not seen[digit] then
        seen[digit] = true
        used[#used + 1] = digit
      end
    end
  end
  table.sort(used, function(a, b) return a > b end)
  return used
end

-- The seqs of the best ready tasks of several sorted sets.
local function merged(keys, most)
  local found, seqs = {}, {}
  for _, key in ipairs(keys) do
    local page = call('ZRANGEBYSCORE', key, '-inf', now, 'WITHSCORES', 'LIMIT', 0, most)
    for i = 1, #page, 2 do
      found[#found + 1] = {page[i], tonumber(page[i + 1])}
    end
  end
  table.sort(found, function(a, b)
    return a[2] < b[2] or (a[2] == b[2] and a[1] < b[1])
  end)
  for i = 1, math.min(most, #found) do
    seqs[i] = found[i][1]
  end
  return seqs
end

-- The seqs of the best ready tasks of a priority, at most `most`, and the sorted sets that they are in.
local function ready_at_priority(priority, most)
  local keys = {}
  for _, name in ipairs(names) do
    local queue = queue_of(name)
    if queue[PAUSED] == 0 and queue[PRIORITIES]:find(priority, 1, true) then
      keys[#keys + 1] = ready_key(priority, name)
    end
  end
  if #keys == 1 then
    return call('ZRANGEBYSCORE', keys[1], '-inf', now, 'LIMIT', 0, most), keys
  end
  return merged(keys, most), keys
end

-- Returns the seqs of the best ready tasks. Expired ones that the sweep did not reach are ended and not among them.
local function choose()
  local chosen = {}
  for _, priority in ipairs(used_priorities()) do
    while #chosen < limit do
      local seqs, keys = ready_at_priority(priority, limit - #chosen)
      local ended_some = false
      fetch(seqs)
      for _, s in ipairs(seqs) do
        local h = heads[s]
        if not h then
          for _, key in ipairs(keys) do
            call('ZREM', key, s)
          end
          ended_some = true
        elseif is_expired(h) then
          expire(s, h)
          ended_some = true
        else
          chosen[#chosen + 1] = s
          h[EPOCH] = h[EPOCH] + 1
          h[ATTEMPTS] = h[ATTEMPTS] + 1
          h[NONCE], h[WORKER], h[STARTED_AT] = nonce, worker, now
          step(s, h, STARTED, RUNNING, false, now + lease)
        end
      end
      flush_moves()
      if not ended_some then
        break
      end
    end
  end
  return chosen
end

local chosen = choose()
local found = read_pages('bodies:', chosen)
local grants = {}
for i, s in ipairs(chosen) do
  local h = heads[s]
  grants[i] = grant(s, h, now + lease, found[s] or bodies[s] or false)
end
for _, name in ipairs(names) do
  if bell then
    call('ZREM', P .. 'idle:' .. name, bell)
  end
  -- What is left here is for the next idle worker.
  if #chosen == limit and not wakes[name] and call('EXISTS', P .. 'idle:' .. name) == 1 then
    local at = next_at({name})
    if at and at <= now then
      wakes[name] = 1
    end
  end
end
finish()
return list_of(grants)
