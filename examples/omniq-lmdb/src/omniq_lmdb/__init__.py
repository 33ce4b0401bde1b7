"""OmniQ on LMDB: an embedded B-tree with one writer at a time, shared by every process of a host."""
