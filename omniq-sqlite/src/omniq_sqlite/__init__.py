"""OmniQ on SQLite: all four roles in one database file, for the processes of one host."""
