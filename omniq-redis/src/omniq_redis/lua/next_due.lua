-- read-only
return cmsgpack.pack(first_score(P .. 'schedule-due'))
