"""Turns arguments and results into bytes and back.

`json` is the default and stays readable, `msgpack` is smaller, `pickle` is an explicit opt-in and always signed. JSON
and msgpack give back exactly what they were given for: None, bool, int, float, str, bytes, list, tuple, dict, set,
frozenset, datetime, date, time, timedelta, Decimal, UUID, Path, and classes made known with `register_type`. Everything
else, subclasses of these included, is refused where it is written, naming the argument. msgpack and zoneinfo are
imported when they are first needed.
"""

from __future__ import annotations

from omniq.serialization.call import decode_call, encode_call
from omniq.serialization.json import JsonSerializer
from omniq.serialization.msgpack import MsgpackSerializer
from omniq.serialization.pickle import PickleSerializer
from omniq.serialization.registered import Converter, TypeRegistry, register_type
from omniq.serialization.registry import SerializerRegistry, get_serializer, register_serializer
from omniq.serialization.serializer import Serializer

__all__ = [
    "Converter",
    "JsonSerializer",
    "MsgpackSerializer",
    "PickleSerializer",
    "Serializer",
    "SerializerRegistry",
    "TypeRegistry",
    "decode_call",
    "encode_call",
    "get_serializer",
    "register_serializer",
    "register_type",
]
