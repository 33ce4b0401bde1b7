-- What readers are given of a task: seq, lease_until, and head and body as they are stored. A damaged head is passed over.
local function record_of(s)
  local h = head_of(s)
  if not h then
    return false
  end
  local lease = h[STATE] == RUNNING and call('ZSCORE', P .. 'leases:' .. h[QUEUE], s)
  local body = call('HGET', P .. 'bodies:' .. page_of(s), s)
  return {tonumber(s), lease and tonumber(lease), packed_head(h), body}
end

-- Whether a filter means a task: {states and views, queues, funcs, unique_key, series_id, ids, from, before}; sets have
-- their members as keys. A view is 10 scheduled, 11 ready, 12 expired, 13 stale.
local function in_states(states, s, h)
  local state = h[STATE]
  if states[state] then
    return true
  elseif state == PENDING then
    return states[is_expired(h) and 12 or h[READY] > now and 10 or 11]
  elseif state == RUNNING and states[13] then
    return tonumber(call('ZSCORE', P .. 'leases:' .. h[QUEUE], s)) <= now
  end
end

local function is_meant(filter, s, h)
  return (not filter[1] or in_states(filter[1], s, h))
    and (not filter[2] or filter[2][h[QUEUE]])
    and (not filter[3] or filter[3][h[FUNC]])
    and (not filter[4] or filter[4] == h[UNIQUE])
    and (not filter[5] or filter[5] == h[SERIES])
    and (not filter[6] or filter[6][h[ID]])
    and (not filter[7] or h[ENQUEUED_AT] >= filter[7])
    and (not filter[8] or h[ENQUEUED_AT] < filter[8])
end

local MOST = 5000 -- tasks; an index that names more of them is not better than going through all

-- Adds the members of sorted sets, unless they are too many.
local function collect(keys)
  local total, found = 0, {}
  for _, key in ipairs(keys) do
    total = total + call('ZCARD', key)
  end
  if total > MOST then
    return nil
  end
  for _, key in ipairs(keys) do
    for _, s in ipairs(call('ZRANGE', key, 0, -1)) do
      found[#found + 1] = s
    end
  end
  return found
end

-- The seqs of all that a filter can mean, unsorted, if an index tells; else nil.
local function indexed(filter)
  if filter[6] then
    local ids, found = {}, {}
    for id in pairs(filter[6]) do
      ids[#ids + 1] = id
    end
    find(ids)
    for _, id in ipairs(ids) do
      found[#found + 1] = index[id] or nil
    end
    return found
  elseif filter[5] then
    return call('SMEMBERS', P .. 'series:' .. filter[5])
  elseif not filter[1] then
    return nil
  end
  local keys = {}
  for state in pairs(filter[1]) do
    if state == PENDING or (state >= 10 and state < 13) then
      return nil
    elseif state == RUNNING or state == 13 then
      for _, name in ipairs(call('HKEYS', P .. 'queues')) do
        keys[#keys + 1] = P .. 'leases:' .. name
      end
    else
      keys[#keys + 1] = P .. 'ended:' .. state .. ':0'
      keys[#keys + 1] = P .. 'ended:' .. state .. ':1'
    end
  end
  return collect(keys)
end

-- The seqs of the next page of tasks past `after`, sorted; nil if there is none.
local function next_page(after, desc)
  local page
  if desc then
    page = call('ZREVRANGEBYSCORE', P .. 'pages', after and page_of(after - 1) or '+inf', '-inf', 'LIMIT', 0, 1)[1]
  else
    page = call('ZRANGEBYSCORE', P .. 'pages', after and page_of(after + 1) or '-inf', '+inf', 'LIMIT', 0, 1)[1]
  end
  if not page then
    return nil
  end
  local seqs = call('HKEYS', P .. 'heads:' .. page)
  return seqs, desc and page * PAGE or page * PAGE + PAGE - 1
end

-- Calls `visit(s, head)` for each task that a filter means, in order past `after`, until it returns true or enough was
-- looked at. Returns where to go on, or false if there is nothing more.
local function scan(filter, after, desc, visit)
  local candidates, last = indexed(filter), false
  if not candidates then
    candidates, last = next_page(after, desc)
    if not candidates then
      return false
    end
  end
  local seqs = {}
  for _, s in ipairs(candidates) do
    local number = tonumber(s)
    if not after or (desc and number < after) or (not desc and number > after) then
      seqs[#seqs + 1] = s
    end
  end
  table.sort(seqs, desc and function(a, b) return a > b end or nil)
  for first = 1, #seqs, 500 do
    local part = {unpack(seqs, first, math.min(first + 499, #seqs))}
    fetch(part)
    for _, s in ipairs(part) do
      local h = heads[s]
      if h and is_meant(filter, s, h) and visit(s, h) then
        return tonumber(s)
      end
    end
  end
  return last
end
