-- read-only
return cmsgpack.pack(now)
