-- uses: tasks
-- Input: queues, bell. Returns in how many milliseconds work comes up (0: now; false: never), and unless it is there
-- already has the bell rung when that changes.
local names = distinct(input[1])
local at = next_at(names)
if at and at <= now then
  return cmsgpack.pack(0)
end
for _, name in ipairs(names) do
  local key = P .. 'idle:' .. name
  call('ZREMRANGEBYSCORE', key, '-inf', now - 60000)
  call('ZADD', key, now, input[2])
end
return cmsgpack.pack(at and at - now)
