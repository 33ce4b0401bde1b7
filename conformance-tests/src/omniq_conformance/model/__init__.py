"""Reference models of the four storage roles: the oracles that programs are compared with.

They are pure and single-threaded, take `now` in every call, and answer in the words of the storage API. They share no
rule with `omniq.storage.transitions`, so that a mistake there is found rather than repeated.
"""
