"""The in-process memory backend of OmniQ: all four roles in plain Python structures.

It is found by its entry point, `memory` in the group `omniq.backends`; nothing here needs to be imported by hand.
"""
