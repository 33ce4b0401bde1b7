-- The transitions of tasks, as omniq.storage.transitions has them. What they change is collected and written by `finish`.
local bodies, new_ids, new_pages, wakes, ended = {}, {}, {}, {}, {}
local last_seq, noted = false, false
local entries, unacknowledged = {}, {} -- of the outbox

local function unique_field(name, key)
  return #name .. ':' .. name .. key
end

-- The live task that holds a unique key.
local function holder_of(field)
  local s = call('HGET', P .. 'unique', field)
  return s and head_of(s) and s
end

local lease_keys, ended_keys = {}, {}

-- Puts a task into the sorted set of its state, or takes it out; `lease_until` is wanted where it is RUNNING.
local function place(s, h, is_in, lease_until)
  local state, name = h[STATE], h[QUEUE]
  if state == PENDING then
    move(ready_key(h[PRIORITY], name), s, is_in and text_of(h[READY]))
    if h[EXPIRES] then
      move(P .. 'expiry:' .. name, s, is_in and text_of(h[EXPIRES]))
    end
    if is_in then
      wakes[name] = (wakes[name] or 0) + 1
    end
  elseif state == RUNNING then
    local key = lease_keys[name]
    if not key then
      key = P .. 'leases:' .. name
      lease_keys[name] = key
    end
    move(key, s, is_in and text_of(lease_until))
  else
    local number = 2 * state + h[PINNED]
    local key = ended_keys[number]
    if not key then
      key = P .. 'ended:' .. state .. ':' .. h[PINNED]
      ended_keys[number] = key
    end
    move(key, s, is_in and text_of(h[FINISHED]))
    count(name, state + 2, is_in and 1 or -1)
  end
end

-- Writes the event of a transition where it belongs.
local function write_event(s, h, packed)
  if EVENTS_JOINED then
    h[MARKS] = h[MARKS] .. ';' .. text_of(h[VERSION]) .. '=' .. call('XADD', LOG, '*', 'e', packed)
    noted = true
  end
  if not EVENTS_JOINED or (h[STATE] >= COMPLETED and not RESULTS_JOINED) then
    entries[#entries + 1] = text_of(tonumber(s)) .. ':' .. text_of(h[VERSION])
    entries[#entries + 1] = packed
    unacknowledged[s] = (unacknowledged[s] or 0) + 1
  end
end

local function note(s, h, kind, worker, text, duration)
  local state = h[STATE]
  local id = h[ID]
  write_event(s, h, '\157' .. text_heads[#id] .. id .. cmsgpack.pack(tonumber(s)) -- a list of 13
    .. packed_of[h[VERSION]] .. packed_of[kind] .. packed_of[now] .. packed_of[h[QUEUE]] .. packed_of[state]
    .. packed_of[h[ATTEMPTS]] .. packed_of[h[EPOCH]] .. packed_of[state == PENDING and h[READY]]
    .. packed_of[worker] .. packed_of[text] .. packed_of[duration])
end

-- Moves a task into a state and notes the event. The caller has set whatever else the transition changes.
local function step(s, h, kind, state, text, lease_until)
  local was, worker = h[STATE], h[WORKER]
  local duration = false
  if was ~= state then
    place(s, h, false)
    h[STATE] = state
    if was == RUNNING then
      duration = now - h[STARTED_AT]
      h[WORKER] = false
    end
    place(s, h, true, lease_until)
  end
  h[VERSION] = h[VERSION] + 1
  if text then
    h[ERROR] = text
  end
  saved[s] = true
  note(s, h, kind, was == RUNNING and worker or h[WORKER], text or false, duration)
end

local create

-- Keeps the result that a worker gave, or one that tells why the task ended.
local function keep_result(s, h, given)
  local state = h[STATE]
  if RESULTS_JOINED and given then
    put_result(h[ID], state, given[5], given[6], given[7])
  elseif RESULTS_JOINED then
    local is_told = state ~= COMPLETED
    local outcome = cmsgpack.pack('json', false, is_told and h[ERROR], is_told, h[TTL])
    put_result(h[ID], state, cmsgpack.pack(tonumber(s), h[EPOCH]), outcome, h[TTL])
  end
end

-- Ends a task, with all that follows: its unique key, its result and the next run of its series.
local function finish_task(s, h, state, kind, by_token, text, result)
  local follows = h[SERIES] and h[INTERVAL] and h[NOMINAL] and h[CANCEL] == 0 and state ~= CANCELLED
  h[FINISHED] = now
  h[CANCEL] = 0
  if not by_token then
    h[EPOCH] = h[EPOCH] + 1
  end
  step(s, h, kind, state, text)
  if h[UNIQUE] then
    local field = unique_field(h[QUEUE], h[UNIQUE])
    if call('HGET', P .. 'unique', field) == s then
      call('HDEL', P .. 'unique', field)
    end
  end
  keep_result(s, h, result)
  ended[#ended + 1] = h[ID]
  if follows then
    local passed = math.max(1, math.floor((now - h[NOMINAL]) / h[INTERVAL]) + 1)
    local nominal = h[NOMINAL] + passed * h[INTERVAL]
    local body = bodies[s] or call('HGET', P .. 'bodies:' .. page_of(s), s)
    create({
      h[SERIES] .. '@' .. string.format('%.0f', nominal), h[QUEUE], h[PRIORITY], nominal, h[MAX_ATTEMPTS], h[UNIQUE],
      false, h[INTERVAL], h[SERIES], nominal, h[PINNED], h[FUNC], h[TTL], body,
    })
  end
end

local function expire(s, h)
  finish_task(s, h, FAILED, EXPIRED, false, 'expired')
end

-- Puts a task back among the waiting ones.
local function back(s, h, kind, ready_at, text)
  h[READY] = math.max(ready_at, now)
  step(s, h, kind, PENDING, text)
end

local function new_seq()
  last_seq = (last_seq or tonumber(call('HGET', P .. 'meta', 'seq') or 0)) + 1
  new_pages[math.floor(last_seq / PAGE)] = true
  return seq_text(last_seq)
end

-- Counts new tasks of a queue, which may be the first of their priority.
local function admit(name, priority, number)
  local queue = queue_of(name)
  count(name, TASKS, number)
  if not queue[PRIORITIES]:find(priority, 1, true) then
    local digits = {}
    for digit in (queue[PRIORITIES] .. priority):gmatch('%d') do
      digits[#digits + 1] = digit
    end
    table.sort(digits, function(a, b) return a > b end)
    queue[PRIORITIES] = table.concat(digits)
  end
end

-- Adds a task unless its id is known or its unique key is held; returns the id that stands for it, and whether it is new.
function create(spec)
  local id, name, unique = spec[1], spec[2], spec[6]
  if seq_of(id) then
    return id, false
  end
  local field = unique and unique_field(name, unique)
  if field then
    local holder = holder_of(field)
    if holder and is_expired(heads[holder]) then
      expire(holder, heads[holder])
      if seq_of(id) then
        return id, false -- the next run of the ended one's series
      end
      holder = holder_of(field)
    end
    if holder then
      return heads[holder][ID], false
    end
  end
  local s = new_seq()
  local eta, interval, series, nominal = spec[4], spec[8], spec[9], spec[10]
  local ready = eta and eta > now and eta or now
  if interval then
    series = series or id
    nominal = nominal or ready
  end
  local rest = rest_of(cmsgpack.pack(
    name, spec[3], spec[5], eta, unique, spec[7], interval, series, nominal, spec[11], spec[12], spec[13]
  ))
  local h = setmetatable({id, PENDING, 1, 0, 0, '', ready, false, 0, false, false, false, '', now}, rest)
  heads[s], saved[s], bodies[s] = h, true, spec[14]
  index[id] = s
  new_ids[#new_ids + 1] = id
  new_ids[#new_ids + 1] = s
  if field then
    call('HSET', P .. 'unique', field, s)
  end
  if series then
    call('SADD', P .. 'series:' .. series, s)
  end
  admit(name, spec[3], 1)
  place(s, h, true)
  note(s, h, ENQUEUED, false, false, false)
  return id, true
end

local function is_current(h, id, epoch, nonce)
  return h and h[STATE] == RUNNING and h[EPOCH] == epoch and h[NONCE] == nonce and h[ID] == id
end

-- What a settling whose token is not current is told.
local function settled(h, id, epoch, nonce)
  if h and h[STATE] ~= RUNNING and h[EPOCH] == epoch and h[NONCE] == nonce and h[ID] == id then
    return 'already'
  end
  return 'lost'
end

-- Calls `decide(s, head, item)` for each settling (id, seq, epoch, nonce ...) whose token is current.
local function settle(items, decide)
  local seqs, replies = {}, {}
  for i, item in ipairs(items) do
    seqs[i] = seq_text(item[2])
  end
  fetch(seqs)
  for i, item in ipairs(items) do
    local h = heads[seqs[i]]
    if is_current(h, item[1], item[3], item[4]) then
      replies[i] = decide(seqs[i], h, item) or h[STATE]
    else
      replies[i] = settled(h, item[1], item[3], item[4])
    end
  end
  return replies
end

-- Of several queues' sorted sets, the first members with a score up to now, by (score, seq).
local function due(kind, names, limit)
  local found = {}
  for _, name in ipairs(names) do
    local page = call('ZRANGEBYSCORE', P .. kind .. name, '-inf', now, 'WITHSCORES', 'LIMIT', 0, limit)
    for i = 1, #page, 2 do
      found[#found + 1] = {page[i], tonumber(page[i + 1])}
    end
  end
  if #names > 1 then
    table.sort(found, function(a, b)
      return a[2] < b[2] or (a[2] == b[2] and a[1] < b[1])
    end)
  end
  local seqs = {}
  for i = 1, math.min(limit, #found) do
    seqs[i] = found[i][1]
  end
  fetch(seqs)
  return seqs
end

-- Forgets a task whose head is damaged or gone, so that it blocks nobody; what is left of it stays where it is.
local function discard(kind, names, s)
  for _, name in ipairs(names) do
    call('ZREM', P .. kind .. name, s)
  end
end

-- Takes stale runs from their workers and ends expired tasks, at most `limit`; returns (id, state) of each.
local function recover(names, limit)
  local swept = {}
  for _, s in ipairs(due('leases:', names, limit)) do
    local h = heads[s]
    if not h then
      discard('leases:', names, s)
    else
      if h[CANCEL] == 1 then
        finish_task(s, h, CANCELLED, CANCELLED_EVENT, false)
      elseif h[ATTEMPTS] >= h[MAX_ATTEMPTS] then
        finish_task(s, h, FAILED, FAILED_EVENT, false, 'lease expired')
      else
        back(s, h, LEASE_EXPIRED, now)
      end
      swept[#swept + 1] = {h[ID], h[STATE]}
    end
  end
  if #swept > 0 then
    flush_moves() -- a run that was just put back may have expired, too
  end
  for _, s in ipairs(due('expiry:', names, limit - #swept)) do
    local h = heads[s]
    if not h then
      discard('expiry:', names, s)
    elseif is_expired(h) then
      expire(s, h)
      swept[#swept + 1] = {h[ID], h[STATE]}
    end
  end
  return swept
end

-- The outbox: the sorted set `outbox` of 'seq:version' by the order of writing, the entries in `outbox-entries`, and how
-- many a task has in `outbox-counts`.
local function write_outbox()
  local number = #entries / 2
  if number == 0 then
    return
  end
  local first, added = call('HINCRBY', P .. 'meta', 'outbox', number) - number, {}
  for i = 1, number do
    added[2 * i - 1] = first + i
    added[2 * i] = entries[2 * i - 1]
  end
  call_in_parts('ZADD', P .. 'outbox', added, 2)
  call_in_parts('HSET', P .. 'outbox-entries', entries, 2)
  for s, more in pairs(unacknowledged) do
    call('HINCRBY', P .. 'outbox-counts', s, more)
  end
end

-- Wakes as many idle waiters as there are tasks for them; one that is gone does not count.
local function wake(name, number)
  if queue_of(name)[PAUSED] == 1 then
    return
  end
  while number > 0 do
    local popped = call('ZPOPMIN', P .. 'idle:' .. name)
    if not popped[1] then
      return
    end
    if publish('bell:' .. popped[1], 'w') > 0 then
      number = number - 1
    end
  end
end

-- Tells those who wait for the ends of tasks.
local function tell_ended()
  if #ended == 0 or call('EXISTS', P .. 'awaited') == 0 then
    return
  end
  for first = 1, #ended, 1000 do
    local last = math.min(first + 999, #ended)
    for i, bells in ipairs(call('HMGET', P .. 'awaited', unpack(ended, first, last))) do
      if bells then
        local id = ended[first + i - 1]
        local state = heads[seq_of(id)][STATE]
        for bell in bells:gmatch('%S+') do
          publish('bell:' .. bell, 'd' .. state .. id)
        end
        call('HDEL', P .. 'awaited', id)
      end
    end
  end
end

-- Writes values by seq into the hashes `kind`:<page>.
local function write_pages(kind, values)
  local pages = {}
  for s, value in pairs(values) do
    local fields = group_of(pages, s)
    local n = #fields
    fields[n + 1] = s
    fields[n + 2] = value
  end
  for page, fields in pairs(pages) do
    call_in_parts('HSET', P .. kind .. page, fields, 2)
  end
end

-- Writes everything that was collected.
local function finish()
  for s in pairs(saved) do
    raw[s] = packed_head(heads[s])
  end
  write_pages('heads:', raw)
  if #new_ids > 0 then
    write_pages('bodies:', bodies)
    call_in_parts('HSET', P .. 'ids', new_ids, 2)
    call('HSET', P .. 'meta', 'seq', text_of(last_seq))
    for page in pairs(new_pages) do
      call('ZADD', P .. 'pages', page, page)
    end
  end
  flush_moves()
  flush_queues()
  write_outbox()
  if noted then
    note_times({now})
  end
  for name, number in pairs(wakes) do
    wake(name, number)
  end
  tell_ended()
end
