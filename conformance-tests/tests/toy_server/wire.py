"""Messages: pickled, each with its length before it. Both ends are this package's, on one host."""

from __future__ import annotations

import pickle
import struct

_LENGTH = struct.Struct("!I")


async def receive(reader):
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return pickle.loads(await reader.readexactly(length))


def packed(message):
    body = pickle.dumps(message)
    return _LENGTH.pack(len(body)) + body
