"""OmniQ in files: a folder that people can read, or an object store."""
