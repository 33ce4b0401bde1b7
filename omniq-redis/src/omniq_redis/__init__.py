"""The Redis and Valkey backend of OmniQ: all four roles on one server, for many machines.

It is found by its entry point, `redis` in the group `omniq.backends`; nothing here needs to be imported by hand.
"""
