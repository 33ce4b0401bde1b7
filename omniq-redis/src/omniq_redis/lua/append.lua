-- uses: log
-- Input: (task id, 'seq:version', at, the packed event) of each event. Returns how many were new.
return cmsgpack.pack(append_events(input))
