-- The event log: the stream `log`. Where the events of a task are is in the head's MARKS, ';version=position' for each
-- event that the queue wrote itself, and for all others in the hash `history` by task id, as ';seq:version=position'.
local LOG = P .. 'log'

-- How late an event can be is kept in `meta`, so that `trim` knows where to stop: the latest `at`, and the largest step
-- back from it.
local function note_times(events)
  local known = call('HMGET', P .. 'meta', 'latest', 'lag')
  local latest, lag = tonumber(known[1] or 0), tonumber(known[2] or 0)
  for _, at in ipairs(events) do
    if at > latest then
      latest = at
    elseif latest - at > lag then
      lag = latest - at
    end
  end
  call('HSET', P .. 'meta', 'latest', text_of(latest), 'lag', text_of(lag))
  publish('log', '')
end

-- A head's marks as they are in `history`.
local function full_marks(s, h)
  return (h[MARKS]:gsub(';', ';' .. tonumber(s) .. ':'))
end

-- All marks of a task's events.
local function marks_of(id)
  local s = seq_of(id)
  local h = s and head_of(s)
  return (call('HGET', P .. 'history', id) or '') .. (h and full_marks(s, h) or '')
end
