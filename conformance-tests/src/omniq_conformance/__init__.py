"""The conformance suite that every OmniQ storage backend passes."""
