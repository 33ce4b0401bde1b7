"""Concurrent histories: several actors on one store at once, and what must be true of what they were told."""
