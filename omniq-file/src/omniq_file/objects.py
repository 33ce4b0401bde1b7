"""A store of objects, reached through fsspec: S3, and the memory of this process.

Entry n of the log is the object `log/<n>`, which is created on the condition that it does not exist. Whoever comes
second reads what the first wrote, decides again, and tries the next number.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

from omniq.errors import CapabilityError, OutcomeUnknownError, StoreFormatError
from omniq.models.redaction import redact_text
from omniq.storage.capabilities import Capabilities, Durability, Scope
from omniq_file.clients import Client, client_of, tried
from omniq_file.descriptor import NAME, Descriptor
from omniq_file.failures import is_away, is_refused_condition, mapped, mapping
from omniq_file.framing import frame, scan
from omniq_file.medium import ConflictError, LaggingError, Medium, Opened
from omniq_file.options import CONDITIONAL
from omniq_file.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from omniq_file.engine import Engine
    from omniq_file.keeper import Chore
    from omniq_file.options import FileOptions

__all__ = ["ObjectMedium"]

GRACE = 3600.0
"""Seconds that entries are kept after a checkpoint has made them needless."""
_TRUST = GRACE / 4
"""Seconds after which what was not there may have been removed, and not be still to come."""
_MANY = 64
_SKEW_MS = 1500
_creating = threading.Lock()


class ObjectMedium(Medium):
    """Objects under one prefix.

    Args:
        options: Where, and how to get there.
    """

    has_one_clock = False

    def __init__(self, options: FileOptions) -> None:
        self._options = options
        self._uri = options.fsspec_uri or ""
        self._protocol = options.protocol
        self._client: Client
        self._fs: Any = None
        self._root = ""
        self._skew = 0
        self._contact = 0.0
        self._turns = Turns()
        self._met: tuple[int, bytes] | None = None  # an entry that was faster, and its number
        self.position = 1

    @property
    def shown(self) -> str:
        return redact_text(self._uri)

    @property
    def patience(self) -> float:
        return self._options.poll_interval

    def time(self) -> int:
        return time.time_ns() // 1_000_000 + self._skew

    # Opening and closing

    def open(self) -> Opened:
        self._check_kind()
        self._client = client_of(self._protocol, self._options.storage_options)
        self._fs = self._client.fs
        self._root = str(self._fs._strip_protocol(self._uri)).rstrip("/")  # noqa: SLF001 - fsspec has no other
        with mapping(f"Opening {self.shown}"):
            descriptor = self._descriptor()
        descriptor.check(self._options.serialization_format, self.shown)
        if self._protocol != "memory":
            if self._client.skew is None:
                self._client.skew = self._measured_skew()
            self._skew = self._client.skew
        return Opened(capabilities=self._capabilities(descriptor), serialization_format=descriptor.serialization_format)

    def _check_kind(self) -> None:
        if self._options.results_only:
            raise CapabilityError(
                f"{self.shown} is for results alone, as `results_only` says. Give the other roles another store, or "
                "leave it out."
            )
        if self._options.has_no_log:
            raise CapabilityError(
                f"{self.shown}: of {self._protocol} stores nobody has proved that two writers cannot both create one "
                "object, so tasks could run twice. It can hold results; for the other roles use one of "
                f"{', '.join(sorted(CONDITIONAL))}, a local folder, or a server backend."
            )

    def _descriptor(self) -> Descriptor:
        """Read the description of the store, or make a new store; and see whether conditions are minded."""
        path = self._path(NAME)
        data = self._get(path)
        if data is None:
            made = Descriptor.make(self._options.serialization_format).dump()
            try:
                self._create(path, made)
                data = made
            except FileExistsError:
                data = self._get(path) or b""
        place = self._uri.split("/")[2]
        if place not in self._client.conditional:
            try:
                self._create(path, data)
            except FileExistsError:
                self._client.conditional.add(place)
            else:
                raise CapabilityError(
                    f"{self.shown}: the store overwrites objects although `If-None-Match: *` forbids it, so two "
                    "workers could claim one task. Use a store that has conditional writes (AWS S3, MinIO, Ceph, R2 "
                    "... in new versions), a local folder, or a server backend. It can hold results: set results_only."
                )
        return Descriptor.read(data, f"{self.shown}/{NAME}")

    def _measured_skew(self) -> int:
        """Return by how much the store's clock is ahead, if that is more than a request may take."""
        bucket, _, key = self._path(NAME).partition("/")
        from email.utils import parsedate_to_datetime

        before = time.time_ns() // 1_000_000
        head = self._fs.call_s3("head_object", Bucket=bucket, Key=key)
        after = time.time_ns() // 1_000_000
        date = head.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if date is None:
            return 0
        skew = int(parsedate_to_datetime(date).timestamp() * 1000) + 500 - (before + after) // 2
        return skew if abs(skew) > _SKEW_MS else 0

    def _capabilities(self, descriptor: Descriptor) -> Capabilities:
        domain = f"file:{descriptor.id}"
        version = f"{self._protocol} objects, format {descriptor.format}, {descriptor.serialization_format}"
        if self._protocol == "memory":
            return Capabilities(
                durability=Durability.NONE, scope=Scope.PROCESS, transaction_domain=domain, server_version=version
            )
        return Capabilities(
            durability=Durability.REPLICATED,
            scope=Scope.CLUSTER,
            push=False,
            transaction_domain=domain,
            max_wait_ms=int(self._options.poll_interval * 1000) + 500,
            clock_error_ms=_SKEW_MS,
            server_version=version,
        )

    def close(self) -> None:
        self._fs = None  # it may serve other stores; see `Client`

    def chores(self, engine: Engine) -> list[Chore]:
        from omniq_file.object_chores import ObjectCompacting

        return [ObjectCompacting(engine, self)]

    # The log

    def exclusive(self, meanwhile: Callable[[], bool]) -> contextlib.AbstractContextManager[bool]:
        del meanwhile  # nobody keeps anybody from anything
        return contextlib.nullcontext(self._turns.give())

    def restore(self) -> Iterator[bytes]:
        root = self._fs.ls(self._root, detail=False, refresh=True)  # a folder that is not there costs two requests
        found = self.numbers("checkpoints") if self._path("checkpoints") in root else []
        self._touch()
        if found:
            data = self._get(self._path(f"checkpoints/{found[-1]:020d}"))
            if data is None:
                raise LaggingError
            scanned = scan(data)
            if scanned.size != len(data) or not scanned.payloads or scanned.payloads[-1]:
                raise StoreFormatError(f"{self.shown}: the checkpoint {found[-1]} is damaged. Restore a backup.")
            yield from scanned.payloads[:-1]
        self.position = found[-1] if found else 1

    def read(self, *, exclusive: bool) -> list[bytes]:
        del exclusive
        found: list[bytes] = []
        if self._met is not None and self._met[0] == self.position:
            found.append(self._met[1])
            self.position += 1
        self._met = None
        while True:
            self._check_lag()
            step = min(max(1, len(found)), _MANY)  # few entries are likely to be followed by none
            paths = [self._entry(number) for number in range(self.position, self.position + step)]
            page = [self._get(paths[0])] if step == 1 else self._get_many(paths)
            there = page[: page.index(None)] if None in page else page
            found += [data for data in there if data is not None]
            self.position += len(there)
            self._touch()
            if len(there) < step:
                if found:
                    self._turns.met()
                return found

    def append(self, payload: bytes) -> None:
        path = self._entry(self.position)
        before, began = self._contact, time.monotonic()
        try:
            self._append(path, payload)
        except Exception as error:
            if not is_away(error):
                raise
            raise OutcomeUnknownError(
                f"Writing to {self.shown} failed: {type(error).__name__}: {error}. It is unknown whether the entry "
                "came through."
            ) from error
        self.position += 1
        if _now() - before > _TRUST and self.numbers("checkpoints")[-1:] >= [self.position]:
            raise OutcomeUnknownError(
                f"{self.shown}: writing took so long that others may have gone on without it. Ask again."
            )
        self._touch()
        self._turns.won(time.monotonic() - began)

    def _append(self, path: str, payload: bytes) -> None:
        try:
            tried(lambda: self._create(path, payload))
        except FileExistsError:
            there = self._get(path)
            if there == payload:
                return  # the first of several tries had come through
            self._met = None if there is None else (self.position, there)
            self._turns.met()
            raise ConflictError from None

    def _check_lag(self) -> None:
        """See whether entries were removed, if that is possible."""
        if _now() - self._contact > _TRUST and self.numbers("checkpoints")[-1:] > [self.position]:
            raise LaggingError

    def _touch(self) -> None:
        self._contact = _now()

    def numbers(self, folder: str) -> list[int]:
        """Return the numbers that objects are called, in order."""
        try:
            names = self._fs.ls(self._path(folder), detail=False, refresh=True)
        except FileNotFoundError:
            return []
        stems = (name.rpartition("/")[2] for name in names)
        return sorted(int(stem) for stem in stems if stem.isascii() and stem.isdecimal())

    # Checkpoints

    def write_checkpoint(self, number: int, pages: Iterable[bytes]) -> None:
        """Write the state before an entry."""
        data = b"".join([*map(frame, pages), frame(b"")])
        with contextlib.suppress(FileExistsError):  # somebody else wrote the same
            self._create(self._path(f"checkpoints/{number:020d}"), data)

    def remove_needless(self) -> int:
        """Remove what a checkpoint made needless that is older than the grace, and return how many objects."""
        dates = {
            int(info["name"].rpartition("/")[2]): self._written(info)
            for info in self._fs.ls(self._path("checkpoints"), detail=True, refresh=True)
        }
        newest = dates[max(dates)]
        old = [number for number, at in dates.items() if at <= newest - GRACE]
        if not old:
            return 0
        needless = [self._entry(each) for each in self.numbers("log") if each < max(old)]
        needless += [self._path(f"checkpoints/{each:020d}") for each in dates if each < max(old)]
        if needless:
            self._fs.rm(needless)
        return len(needless)

    def _written(self, info: dict[str, Any]) -> float:
        at = info.get("LastModified", info.get("created", 0.0))
        return float(at.timestamp() if hasattr(at, "timestamp") else at)

    # Blobs

    def write_blobs(self, blobs: Sequence[tuple[str, bytes]]) -> None:
        with mapping(f"Writing to {self.shown}"):
            try:
                self._fs.pipe({self._blob(name): data for name, data in blobs})
            except Exception:
                self.remove_blobs(name for name, _ in blobs)
                raise

    def read_blobs(self, names: Sequence[str]) -> list[bytes | None]:
        return self._get_many([self._blob(name) for name in names])

    def remove_blobs(self, names: Iterable[str]) -> None:
        found = [self._blob(name) for name in names]
        if found and self._fs is not None:
            with contextlib.suppress(Exception):  # what stays is litter
                self._fs.rm(found)

    def _blob(self, name: str) -> str:
        if not (name.isascii() and name.isalnum()):
            raise StoreFormatError(f"{name!r} is not the name of a blob.")
        return self._path(f"blobs/{name[:2]}/{name}")

    # Objects

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _entry(self, number: int) -> str:
        return self._path(f"log/{number:020d}")

    def _create(self, path: str, data: bytes) -> None:
        """Create an object.

        Raises:
            FileExistsError: It is there.
        """
        if self._protocol == "memory":
            with _creating:  # fsspec looks first and writes then
                self._fs.pipe_file(path, data, mode="create")
            return
        try:
            self._fs.pipe_file(path, data, mode="create", chunksize=2**32)
        except OSError as error:
            if is_refused_condition(error):
                raise FileExistsError(path) from error
            raise

    def _get(self, path: str) -> bytes | None:
        try:
            data: bytes = tried(lambda: self._fs.cat_file(path, **self._client.reading))
        except FileNotFoundError:
            return None
        return data

    def _get_many(self, paths: Sequence[str]) -> list[bytes | None]:
        found = self._fs.cat(list(paths), on_error="return", **self._client.reading)
        for error in found.values():
            if isinstance(error, Exception) and not isinstance(error, FileNotFoundError):
                raise mapped(error, f"Reading {self.shown}")
        contents = (found.get(path) for path in paths)
        return [data if isinstance(data, bytes) else None for data in contents]


def _now() -> float:
    """Return seconds that go on while the system sleeps, where it can tell them."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
