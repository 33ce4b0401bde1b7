"""A backend with a server, to prove the cases of networks and servers: SQLite stores behind remote calls over TCP."""

from __future__ import annotations
