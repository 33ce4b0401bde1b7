-- uses: tasks
-- read-only
-- Input: queues. Returns a time or false.
return cmsgpack.pack(next_at(distinct(input)))
