-- uses: tasks log outcomes transitions
-- Input: queues, max_sweep. Returns (id, state) of each task that was taken over.
local swept = recover(distinct(input[1]), input[2])
finish()
return cmsgpack.pack(swept)
