"""One backend for everything, as older applications wrote it; importing these imports no driver."""

from __future__ import annotations

from omniq.backend.file import FileBackend
from omniq.backend.memory import MemoryBackend
from omniq.backend.nats import NATSBackend
from omniq.backend.postgres import PostgresBackend
from omniq.backend.redis import RedisBackend
from omniq.backend.single import SingleBackend
from omniq.backend.sqlite import SQLiteBackend

__all__ = [
    "FileBackend",
    "MemoryBackend",
    "NATSBackend",
    "PostgresBackend",
    "RedisBackend",
    "SQLiteBackend",
    "SingleBackend",
]
