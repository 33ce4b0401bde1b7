-- Tasks. A task is known by its seq as 15 digits, `s`. Heads and bodies are in hashes of 512 tasks each, `heads:<page>`
-- and `bodies:<page>`; the hash `ids` finds the seq of an id. By state a task is in one sorted set of its queue:
-- PENDING in `ready:<priority>:<queue>` by ready_at (and in `expiry:<queue>` by expires_at), RUNNING in
-- `leases:<queue>` by lease_until, which is nowhere else; ended in `ended:<state>:<pinned>` by finished_at.
local PENDING, RUNNING, COMPLETED, FAILED, CANCELLED = 0, 1, 2, 3, 4
local ENQUEUED, STARTED, COMPLETED_EVENT, FAILED_EVENT, RETRYING, RELEASED, CANCEL_REQUESTED, CANCELLED_EVENT = 0, 1, 2, 3, 4, 5, 6, 7
local LEASE_EXPIRED, EXPIRED, REDRIVEN = 8, 9, 10
-- The fields of a head. Those from QUEUE on, its rest, hardly ever change, and many tasks have the same.
local ID, STATE, VERSION, EPOCH, ATTEMPTS, NONCE, READY, WORKER, CANCEL, STARTED_AT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
local FINISHED, ERROR, MARKS, ENQUEUED_AT, QUEUE, PRIORITY, MAX_ATTEMPTS, ETA, UNIQUE = 11, 12, 13, 14, 15, 16, 17, 18, 19
local EXPIRES, INTERVAL, SERIES, NOMINAL, PINNED, FUNC, TTL = 20, 21, 22, 23, 24, 25, 26
local PAGE = 512

local function page_of(s)
  return math.floor(s / PAGE)
end

-- The list in `pages` for the page of a seq.
local function group_of(pages, s)
  local page = page_of(s)
  local group = pages[page]
  if not group then
    group = {}
    pages[page] = group
  end
  return group
end

-- Groups seqs by page.
local function by_page(seqs)
  local pages = {}
  for _, s in ipairs(seqs) do
    local group = group_of(pages, s)
    group[#group + 1] = s
  end
  return pages
end

-- Reads the hashes `kind`:<page> for many tasks; returns by seq what is there.
local function read_pages(kind, seqs)
  local found = {}
  for page, group in pairs(by_page(seqs)) do
    for first = 1, #group, 1000 do
      local last = math.min(first + 999, #group)
      for i, value in ipairs(call('HMGET', P .. kind .. page, unpack(group, first, last))) do
        found[group[first + i - 1]] = value
      end
    end
  end
  return found
end

-- Heads that were read; false if there is none, or it is damaged. `saved` has the seqs of changed ones, `raw` heads as
-- they are to be written.
local heads, saved, raw = {}, {}, {}

-- Values that many tasks of a batch have, packed; others, such as ids, are not to be looked up here.
local FEW = {[false] = '\194', [0] = '\0', '\1', '\2', '\3', '\4', '\5', '\6'}
local packed_of = setmetatable(FEW, {__index = function(known, value)
  local packed = cmsgpack.pack(value)
  known[value] = packed
  return packed
end})

-- What comes before a text of so many bytes.
local text_heads = setmetatable({}, {__index = function(known, size)
  local packed
  if size < 32 then
    packed = string.char(160 + size)
  elseif size < 256 then
    packed = '\217' .. string.char(size)
  elseif size < 65536 then
    packed = struct.pack('>BH', 218, size)
  else
    packed = struct.pack('>BI4', 219, size)
  end
  known[size] = packed
  return packed
end})

-- Rests by how they are packed, each with its fields where a head has them, and the metatable of those heads.
local rests = {}
local HEADER = '\220\0\26' -- of a list of 26

local function rest_of(packed)
  local rest = rests[packed]
  if not rest then
    rest = {packed = packed}
    rest.__index = rest
    local fields = {select(2, cmsgpack.unpack_limit(packed, 13))}
    assert(#fields == 12)
    for i, value in ipairs(fields) do
      rest[14 + i] = value
    end
    rests[packed] = rest
  end
  return rest
end

local function unpack_head(packed)
  local next, id, state, version, epoch, attempts, nonce, ready, worker, cancel, started, finished, text, marks,
    enqueued = cmsgpack.unpack_limit(packed, 14, 3)
  assert(packed:sub(1, 3) == HEADER and next > 0)
  return setmetatable(
    {id, state, version, epoch, attempts, nonce, ready, worker, cancel, started, finished, text, marks, enqueued},
    rest_of(packed:sub(next + 1))
  )
end

local function unpacked(packed)
  local ok, head = pcall(unpack_head, packed)
  return ok and head
end

local function packed_head(h)
  local id, marks = h[ID], h[MARKS]
  return HEADER .. text_heads[#id] .. id .. packed_of[h[STATE]] .. packed_of[h[VERSION]] .. packed_of[h[EPOCH]]
    .. packed_of[h[ATTEMPTS]] .. packed_of[h[NONCE]] .. packed_of[h[READY]] .. packed_of[h[WORKER]]
    .. packed_of[h[CANCEL]] .. packed_of[h[STARTED_AT]] .. packed_of[h[FINISHED]] .. packed_of[h[ERROR]]
    .. text_heads[#marks] .. marks .. packed_of[h[ENQUEUED_AT]] .. getmetatable(h).packed
end

local function fetch(seqs)
  local missing = {}
  for _, s in ipairs(seqs) do
    if heads[s] == nil then
      heads[s] = raw[s] and unpacked(raw[s]) or false
      missing[#missing + 1] = not heads[s] and s or nil
    end
  end
  for s, packed in pairs(read_pages('heads:', missing)) do
    heads[s] = packed and unpacked(packed)
  end
end

local function head_of(s)
  if heads[s] == nil then
    fetch({s})
  end
  return heads[s]
end

-- Seqs by id.
local index = {}

local function find(ids)
  local missing = {}
  for _, id in ipairs(ids) do
    if index[id] == nil then
      index[id] = false
      missing[#missing + 1] = id
    end
  end
  for first = 1, #missing, 4000 do
    local last = math.min(first + 3999, #missing)
    for i, s in ipairs(call('HMGET', P .. 'ids', unpack(missing, first, last))) do
      index[missing[first + i - 1]] = s
    end
  end
end

local function seq_of(id)
  if index[id] == nil then
    find({id})
  end
  return index[id]
end

local function seq_text(seq)
  return string.format('%015d', seq)
end

-- Queues: {tasks, paused, priorities ever used (digits, 9 first), COMPLETED, FAILED, CANCELLED} in the hash `queues`.
local TASKS, PAUSED, PRIORITIES = 1, 2, 3
local queues, touched = {}, {}

local function queue_of(name)
  local queue = queues[name]
  if not queue then
    local packed = call('HGET', P .. 'queues', name)
    queue = packed and cmsgpack.unpack(packed) or {0, 0, '', 0, 0, 0}
    queues[name] = queue
  end
  return queue
end

local function flush_queues()
  for name in pairs(touched) do
    local queue = queues[name]
    if queue[TASKS] == 0 and queue[PAUSED] == 0 then
      call('HDEL', P .. 'queues', name)
    else
      call('HSET', P .. 'queues', name, cmsgpack.pack(queue))
    end
  end
  touched = {}
end

local function count(name, field, by)
  local queue = queue_of(name)
  queue[field] = queue[field] + by
  touched[name] = true
end

local ready_keys = {}

local function ready_key(priority, name)
  local keys = ready_keys[name]
  if not keys then
    keys = {}
    ready_keys[name] = keys
  end
  priority = tonumber(priority)
  local key = keys[priority]
  if not key then
    key = P .. 'ready:' .. priority .. ':' .. name
    keys[priority] = key
  end
  return key
end

local function distinct(names)
  local seen, result = {}, {}
  for _, name in ipairs(names) do
    if not seen[name] then
      seen[name] = true
      result[#result + 1] = name
    end
  end
  return result
end

local function is_expired(h)
  return h[STATE] == PENDING and h[EXPIRES] and h[EXPIRES] <= now
end

-- The earliest time at which work may come up in these queues; false if never.
local function next_at(names)
  local earliest = false
  local function take(at)
    if at and (not earliest or at < earliest) then
      earliest = at
    end
  end
  for _, name in ipairs(names) do
    local queue = queue_of(name)
    if queue[PAUSED] == 0 then
      for priority in queue[PRIORITIES]:gmatch('%d') do
        take(first_score(ready_key(priority, name)))
      end
    end
    take(first_score(P .. 'leases:' .. name))
  end
  return earliest
end

-- What a worker is given of a task, packed.
local function grant(s, h, lease_until, body)
  local id = h[ID]
  return '\157' .. text_heads[#id] .. id .. cmsgpack.pack(tonumber(s)) .. packed_of[h[EPOCH]] -- a list of 13
    .. packed_of[h[ATTEMPTS]] .. packed_of[h[MAX_ATTEMPTS]] .. packed_of[h[QUEUE]] .. packed_of[h[PRIORITY]]
    .. packed_of[h[ENQUEUED_AT]] .. packed_of[h[READY]] .. packed_of[lease_until] .. packed_of[h[SERIES]]
    .. packed_of[h[NOMINAL]] .. (body and text_heads[#body] .. body or packed_of[false])
end

-- A list, packed, of at most 65535 things that are packed already.
local function list_of(packed)
  return '\220' .. string.char(math.floor(#packed / 256), #packed % 256) .. table.concat(packed)
end
