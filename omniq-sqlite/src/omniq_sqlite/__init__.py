"""The SQLite backend of OmniQ."""
