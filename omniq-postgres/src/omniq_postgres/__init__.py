"""The PostgreSQL backend of OmniQ: all four roles in one database, for many machines.

It is found by its entry point, `postgres` in the group `omniq.backends`; nothing here needs to be imported by hand,
except `omniq_postgres.transactional` by those who enqueue in a transaction of their own.
"""
