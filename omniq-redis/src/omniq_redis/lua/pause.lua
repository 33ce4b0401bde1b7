-- uses: tasks log outcomes transitions
-- Input: queues, whether they are paused from now on.
for _, name in ipairs(distinct(input[1])) do
  local queue = queue_of(name)
  queue[PAUSED] = input[2]
  touched[name] = true
  if input[2] == 0 then
    wakes[name] = queue[TASKS]
  end
end
finish()
return false
