"""The in-process memory backend of OmniQ."""
