-- Every script starts with this. KEYS[1] is the namespace with its hash tag; all keys start with it and share a slot.
-- ARGV: the time or '', the mode, the input as msgpack. Absent values are false, because nil makes holes in tables.
local call = redis.call
local P = KEYS[1]
local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local EVENTS_JOINED = ARGV[2]:find('e', 1, true) ~= nil
local RESULTS_JOINED = ARGV[2]:find('r', 1, true) ~= nil
local PUBLISH = ARGV[2]:find('s', 1, true) and 'SPUBLISH' or 'PUBLISH'
local input = cmsgpack.unpack(ARGV[3])

-- A message is a wake-up: whoever misses it looks again a second later.
local function publish(channel, message)
  return call(PUBLISH, P .. channel, message)
end

-- Calls a command with any number of arguments; Lua can pass a few thousand at once. `size` of them belong together.
local function call_in_parts(command, key, arguments, size)
  local most = 4000 - 4000 % (size or 1)
  for first = 1, #arguments, most do
    call(command, key, unpack(arguments, first, math.min(first + most - 1, #arguments)))
  end
end

-- Numbers as text, which Lua and the server would else make again for each task.
local texts = {}

local function text_of(number)
  local text = texts[number]
  if not text then
    text = string.format('%.0f', number)
    texts[number] = text
  end
  return text
end

-- Changes of sorted sets, made together by `flush_moves`: for each key the command, and its arguments.
local moves = {}

local function make(key, change)
  call_in_parts(change.command, key, change, change.command == 'ZADD' and 2)
end

-- Puts a member into a sorted set, with the score as text, or with false takes it out.
local function move(key, member, score)
  local command = score and 'ZADD' or 'ZREM'
  local change = moves[key]
  if not change or change.command ~= command then
    if change then
      make(key, change)
    end
    change = {command = command}
    moves[key] = change
  end
  if score then
    change[#change + 1] = score
  end
  change[#change + 1] = member
end

local function flush_moves()
  for key, change in pairs(moves) do
    make(key, change)
  end
  moves = {}
end

local function first_score(key)
  local first = call('ZRANGE', key, 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2])
end
