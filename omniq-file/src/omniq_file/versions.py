"""Where an outcome is in a store of results alone: an object for each, whose name says which one counts.

Nothing is ever written in place, and no condition is needed: of the objects of an id the one with the largest name
counts. One that is not whole, because it is being written or its writer died, counts as not there.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote_to_bytes

import attrs

from omniq.errors import StoreFormatError
from omniq_file.framing import frame, scan
from omniq_file.machine.stored import fields_of, read_result
from omniq_file.names import file_stem

if TYPE_CHECKING:
    from omniq.models.result import ResultRecord
    from omniq_file.formats import Format

__all__ = ["Version", "dump_result", "folder_of", "id_of", "load_result"]

_FORMAT = 1


@attrs.frozen(order=True)
class Version:
    """One object of an id; of several the largest counts.

    Attributes:
        seq: Of the outcome.
        epoch: Of the outcome.
        turn: Counts those of one (seq, epoch).
        expires_at: In milliseconds since the epoch; -1 for never.
        nonce: Distinguishes those that were written at the same time.
    """

    seq: int
    epoch: int
    turn: int
    expires_at: int
    nonce: str

    @classmethod
    def of(cls, record: ResultRecord, turn: int) -> Self:
        """Return the next version of an outcome that has its dates."""
        expires_at = -1 if record.expires_at is None else record.expires_at
        return cls(record.seq, record.epoch, turn, expires_at, secrets.token_hex(4))

    @classmethod
    def read(cls, name: str) -> Self | None:
        """Return the version of an object's name, None if it is none."""
        parts = name.split(".")
        try:
            seq, epoch, turn, expires_at = map(int, parts[:-1])
        except ValueError:
            return None
        return cls(seq, epoch, turn, expires_at, parts[-1])

    @property
    def name(self) -> str:
        """The name of the object."""
        return f"{self.seq}.{self.epoch}.{self.turn}.{self.expires_at}.{self.nonce}"

    @property
    def order(self) -> tuple[int, int]:
        """As of the outcome."""
        return self.seq, self.epoch

    def has_expired(self, now: int) -> bool:
        """Tell whether the outcome is absent now."""
        return 0 <= self.expires_at <= now


def folder_of(task_id: str) -> str:
    """Return the folder of an id's objects, in that of the results."""
    stem = file_stem(task_id)
    return f"{hashlib.blake2b(stem.encode(), digest_size=1).hexdigest()}/{stem}"


def id_of(stem: str) -> str | None:
    """Return the id of a folder's last part, None if that does not tell."""
    return None if "~" in stem else unquote_to_bytes(stem).decode("utf-8", "surrogatepass")


def dump_result(record: ResultRecord, form: Format) -> bytes:
    """Write an outcome: a line for people, and the value as it is."""
    fields = {"format": _FORMAT, "signed": form.name == "pickle", "has_value": record.value is not None}
    fields |= fields_of(record)
    fields.pop("value", None)
    line = json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return frame(line, *([] if record.value is None else [form.value(record.value)]))


def load_result(data: bytes, form: Format) -> ResultRecord | None:
    """Read an outcome, None if it is not whole.

    Raises:
        StoreFormatError: It is no outcome.
    """
    scanned = scan(data)
    if scanned.size != len(data) or not scanned.payloads:
        return None
    line, *values = scanned.payloads
    try:
        fields = json.loads(line.decode("utf-8", "surrogatepass"))
        if fields.pop("format") != _FORMAT:
            raise StoreFormatError("An outcome was written by a newer version. Upgrade: pip install -U omniq-file")
        if fields.pop("signed") != (form.name == "pickle"):
            raise StoreFormatError(
                "An outcome is pickled, or others are. Give the `serialization_format` of the store."
            )
        if fields.pop("has_value") != bool(values):
            return None
        value = form.read_value(values[0]) if values else None
        return read_result({**fields, "value": value})
    except (ValueError, TypeError, KeyError) as error:
        raise StoreFormatError(f"This is no outcome: {line[:80]!r} ({error!r})") from error
