"""How entries of the log, checkpoints and blobs are written: as JSON, as msgpack, or as JSON with pickled payloads."""

from __future__ import annotations

import base64
import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, cast

from omniq.errors import SerializationError, StoreFormatError
from omniq.models.record import TaskBody
from omniq.models.result import ResultRecord
from omniq.serialization.pickle import PickleSerializer
from omniq_file.machine.stored import StoredBody, fields_of, read_body, read_result, read_schedule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omniq.models.schedule import Schedule

__all__ = ["Format", "JsonFormat", "MsgpackFormat", "PickleFormat", "make_format"]

_BASE64 = "base64"


class Format(ABC):
    """Writes plain data, and the records in it.

    Attributes:
        name: As in `serialization_format`.
        ending: Of the names of files in it.
    """

    name: str
    ending: str

    @abstractmethod
    def dump(self, data: object) -> bytes:
        """Write data of dicts, lists, atoms, bytes, bodies and outcomes."""

    @abstractmethod
    def load(self, data: bytes) -> Any:
        """Read it again; bodies and outcomes come as `body` and `result` take them.

        Raises:
            StoreFormatError: That is no data of this format.
        """

    def body(self, data: Any) -> TaskBody:
        """Read a body in an entry."""
        return read_body(self._with_bytes(data, "args", "kwargs"))

    def result(self, data: Any) -> ResultRecord:
        """Read an outcome in an entry."""
        return read_result(self._with_bytes(data, "value"))

    def schedule(self, fields: dict[str, Any], body: Any) -> Schedule:
        """Read a schedule in an entry."""
        return read_schedule(fields, self.body(body))

    def dump_body(self, body: TaskBody) -> bytes:
        """Write a body as a blob: a line of JSON, then the arguments as they are."""
        sizes = {"args": len(body.args), "kwargs": len(body.kwargs)}
        line = json.dumps({"func": body.func, "headers": dict(body.headers), **sizes}, ensure_ascii=False)
        return line.encode("utf-8", "surrogatepass") + b"\n" + body.args + body.kwargs

    def load_body(self, data: bytes, stored: StoredBody) -> TaskBody:
        """Read the body of a blob.

        Raises:
            StoreFormatError: It cannot be read, or is another one.
        """
        line, _, rest = data.partition(b"\n")
        try:
            fields = json.loads(line.decode("utf-8", "surrogatepass"))
            size, func, headers = int(fields["args"]), fields["func"], fields["headers"]
            is_whole = func == stored.func and len(rest) == size + fields["kwargs"]
        except (ValueError, TypeError, KeyError) as error:
            raise StoreFormatError(f"The blob {stored.blob} is no body: {error}") from error
        if not is_whole:
            raise StoreFormatError(f"The blob {stored.blob} is not the body of {stored.func}.")
        return TaskBody(
            func=func,
            args=rest[:size],
            kwargs=rest[size:],
            codec=stored.codec,
            headers=headers,
            timeout_ms=stored.timeout_ms,
            result_ttl_ms=stored.result_ttl_ms,
        )

    def value(self, data: bytes) -> bytes:
        """Write what goes into a blob of its own: the value of an outcome."""
        return data

    def read_value(self, data: bytes) -> bytes:
        """Read the value of an outcome."""
        return data

    def _with_bytes(self, data: Any, *names: str) -> dict[str, Any]:
        """Return fields of which some are bytes."""
        del names
        return cast("dict[str, Any]", data)

    def _plain(self, value: object) -> object:
        """Return plain data for a record or bytes."""
        if isinstance(value, (TaskBody, ResultRecord)):
            return fields_of(value)
        msg = f"{type(value).__qualname__} is no part of an entry"
        raise TypeError(msg)


class JsonFormat(Format):
    """Lines that people can read. Bytes are text if they can be, else base64."""

    name = "json"
    ending = ".json"

    def __init__(self) -> None:
        self._encode = json.JSONEncoder(
            ensure_ascii=False, check_circular=False, separators=(",", ":"), default=self._plain
        ).encode

    def dump(self, data: object) -> bytes:
        return self._encode(data).encode("utf-8", "surrogatepass")

    def load(self, data: bytes) -> Any:
        try:
            return json.loads(data.decode("utf-8", "surrogatepass"))
        except ValueError as error:
            raise StoreFormatError(f"This is no JSON: {data[:80]!r}. Check the store with `omniq fsck`.") from error

    def _with_bytes(self, data: Any, *names: str) -> dict[str, Any]:
        for name in names:
            value = data.get(name)
            if value is not None:
                data[name] = _bytes_of(value)
        return cast("dict[str, Any]", data)

    def _plain(self, value: object) -> object:
        if isinstance(value, bytes):
            return _text_of(value)
        return super()._plain(value)


class PickleFormat(JsonFormat):
    """Lines as of JSON, but what users give and get is pickled and signed: `loads` verifies before it unpickles."""

    name = "pickle"

    def __init__(self, signing_key: str | None) -> None:
        super().__init__()
        self._serializer = PickleSerializer(signing_key)

    def body(self, data: Any) -> TaskBody:
        return read_body(cast("Mapping[str, Any]", self._unpickled(data)))

    def result(self, data: Any) -> ResultRecord:
        return read_result(cast("dict[str, Any]", self._unpickled(data)))

    def dump_body(self, body: TaskBody) -> bytes:
        return self._serializer.dumps(super().dump_body(body))

    def load_body(self, data: bytes, stored: StoredBody) -> TaskBody:
        return super().load_body(cast("bytes", self._verified(data)), stored)

    def value(self, data: bytes) -> bytes:
        return self._serializer.dumps(data)

    def read_value(self, data: bytes) -> bytes:
        return cast("bytes", self._verified(data))

    def _unpickled(self, data: Any) -> object:
        return self._verified(_bytes_of(data))

    def _verified(self, data: bytes) -> object:
        try:
            return self._serializer.loads(data)
        except SerializationError as error:
            raise StoreFormatError(f"A record of the store cannot be read: {error}") from error

    def _plain(self, value: object) -> object:
        if isinstance(value, (TaskBody, ResultRecord)):
            fields = fields_of(value)
            return self._serializer.dumps({name: _exact(each) for name, each in fields.items()})
        return super()._plain(value)


class MsgpackFormat(Format):
    """Compact and quick; needs a program to be read."""

    name = "msgpack"
    ending = ".msgpack"

    def __init__(self) -> None:
        import msgpack  # type: ignore[import-untyped,unused-ignore]

        self._pack = msgpack.Packer(default=self._plain, unicode_errors="surrogatepass").pack
        self._unpack = msgpack.unpackb

    def dump(self, data: object) -> bytes:
        packed: bytes = self._pack(data)
        return packed

    def load(self, data: bytes) -> Any:
        try:
            return self._unpack(data, strict_map_key=False, unicode_errors="surrogatepass")
        except ValueError as error:
            raise StoreFormatError(f"This is no msgpack: {data[:80]!r}. Check the store with `omniq fsck`.") from error


def make_format(name: str, signing_key: str | None = None) -> Format:
    """Return the format of this name.

    Raises:
        ConfigError: It is pickle, and there is no signing key.
        StoreFormatError: There is no such format.
    """
    match name:
        case "json":
            return JsonFormat()
        case "msgpack":
            return MsgpackFormat()
        case "pickle":
            return PickleFormat(signing_key)
        case _:
            raise StoreFormatError(f"The store is written in the format {name!r}, which this version does not know.")


def _exact(value: object) -> object:
    """Return text without its enumeration, so that nothing but plain data is pickled."""
    if isinstance(value, str):
        return str(value)
    return dict(value) if isinstance(value, dict) else value


def _text_of(data: bytes) -> object:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {_BASE64: base64.b64encode(data).decode()}


def _bytes_of(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else base64.b64decode(value[_BASE64], validate=True)
