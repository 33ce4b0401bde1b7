"""Outcomes as objects of any file system of fsspec: written whole under names of their own, and never changed."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from omniq_file.clients import client_of, tried
from omniq_file.formats import make_format
from omniq_file.versions import Version, dump_result, folder_of, id_of, load_result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from omniq.models.result import ResultRecord
    from omniq_file.options import FileOptions

__all__ = ["ResultPlace"]

T = TypeVar("T")
A = TypeVar("A")

_THREADS = 16
_TRIES = 5


class ResultPlace:
    """The objects of one store; used from any thread.

    Args:
        options: Where, and how to get there.
        signing_key: For stores whose values are pickled.

    Attributes:
        takes_turns: Whether only one call may be under way.
    """

    def __init__(self, options: FileOptions, signing_key: str | None) -> None:
        uri = options.fsspec_uri or ""
        self._client = client_of(options.protocol, options.storage_options)
        self._fs: Any = self._client.fs
        self._root = f"{str(self._fs._strip_protocol(uri)).rstrip('/')}/results"  # noqa: SLF001 - fsspec has no other
        self._format = make_format(options.serialization_format or "json", signing_key)
        self.takes_turns = not self._fs.async_impl
        self._pool = None if self.takes_turns else ThreadPoolExecutor(_THREADS, "omniq-file-results")

    def close(self) -> None:
        """Let the threads go."""
        if self._pool is not None:
            self._pool.shutdown()

    def check(self) -> None:
        """Find out whether the store can be reached."""
        self._names(self._root)

    def put(self, records: Sequence[ResultRecord], now: int) -> list[bool]:
        """Store outcomes; those of one id one after the other."""
        by_id: defaultdict[str, list[int]] = defaultdict(list)
        for place, record in enumerate(records):
            by_id[record.id].append(place)

        def run(places: list[int]) -> list[tuple[int, bool]]:
            return [(place, self._put(records[place], now)) for place in places]

        stored = dict(pair for pairs in self._map(run, list(by_id.values())) for pair in pairs)
        return [stored[place] for place in range(len(records))]

    def get(self, ids: Sequence[str], now: int) -> list[ResultRecord | None]:
        """Return unexpired outcomes."""
        found = self._map(self._current, ids)
        return [record if record is not None and _lasts(record, now) else None for record in found]

    def delete(self, ids: Sequence[str]) -> list[bool]:
        """Remove outcomes, and tell which were there."""
        there = dict(zip(unique := list(dict.fromkeys(ids)), self._map(self._delete, unique), strict=True))
        return [there.pop(task_id, False) for task_id in ids]

    def page(self, after: str | None, limit: int, now: int) -> list[ResultRecord]:
        """Return unexpired outcomes by id; it has to list all objects."""
        everything = self._everything()
        ids = sorted(each for each in everything if after is None or each > after)
        candidates = [each for each in ids if not max(everything[each]).has_expired(now)]
        found: list[ResultRecord] = []
        while candidates and len(found) < limit:
            page, candidates = candidates[: limit - len(found)], candidates[limit - len(found) :]
            found += [record for record in self.get(page, now) if record is not None]
        return found

    def purge_expired(self, limit: int, now: int) -> int:
        """Remove the outcomes that expired first; it has to list all objects."""
        newest = ((max(versions), task_id) for task_id, versions in self._everything().items())
        expired = sorted((version.expires_at, task_id) for version, task_id in newest if version.has_expired(now))
        gone = [task_id for _, task_id in expired[:limit]]
        return sum(self.delete(gone))

    # One id

    def _put(self, record: ResultRecord, now: int) -> bool:
        folder = self._folder(record.id)
        versions = self._versions(folder)
        if any(self._load(folder, version) is not None for version in versions if version.order > record.order):
            return False
        expires_at = None if record.ttl_ms is None else now + record.ttl_ms
        made = attrs.evolve(record, stored_at=now, expires_at=expires_at)
        turn = max((version.turn for version in versions if version.order == record.order), default=0) + 1
        version = Version.of(made, turn)
        self._write(f"{folder}/{version.name}", dump_result(made, self._format))
        self._remove(folder, [each for each in versions if each < version])
        return True

    def _current(self, task_id: str) -> ResultRecord | None:
        """Return the outcome that counts, whether it has expired or not."""
        folder = self._folder(task_id)
        for _ in range(_TRIES):
            versions = self._versions(folder)
            for version in reversed(versions):
                record = self._load(folder, version)
                if record is not None:
                    return record
            if versions == self._versions(folder):
                return None  # else a newer one took their place meanwhile
        return None

    def _delete(self, task_id: str) -> bool:
        folder = self._folder(task_id)
        versions = self._versions(folder)
        was_there = any(self._load(folder, version) is not None for version in reversed(versions))
        self._remove(folder, versions)
        return was_there

    # Objects

    def _folder(self, task_id: str) -> str:
        return f"{self._root}/{folder_of(task_id)}"

    def _versions(self, folder: str) -> list[Version]:
        """Return the versions of an id, oldest first."""
        found = (Version.read(name) for name in self._names(folder))
        return sorted(version for version in found if version is not None)

    def _everything(self) -> Mapping[str, list[Version]]:
        """Return the versions of all ids."""
        self._fs.invalidate_cache()
        try:
            paths: Iterable[str] = tried(lambda: self._fs.find(self._root))
        except FileNotFoundError:
            return {}
        folders: defaultdict[str, list[Version]] = defaultdict(list)
        for path in paths:
            folder, _, name = path.rpartition("/")
            version = Version.read(name)
            if version is not None:
                folders[folder].append(version)
        found: dict[str, list[Version]] = {}
        for folder, versions in folders.items():
            stem = folder.rpartition("/")[2]
            task_id = id_of(stem)
            if task_id is None:  # its name is too long for a file's
                records = (self._load(folder, each) for each in sorted(versions)[::-1])
                record = next(filter(None, records), None)
                task_id = None if record is None else record.id
            if task_id is not None:
                found[task_id] = versions
        return found

    def _names(self, folder: str) -> list[str]:
        self._fs.invalidate_cache()  # some keep what they listed
        try:
            paths: list[str] = tried(lambda: self._fs.ls(folder, detail=False))
        except FileNotFoundError:
            return []
        return [path.rstrip("/").rpartition("/")[2] for path in paths]

    def _load(self, folder: str, version: Version) -> ResultRecord | None:
        try:
            data: bytes = tried(lambda: self._fs.cat_file(f"{folder}/{version.name}", **self._client.reading))
        except FileNotFoundError:
            return None
        return load_result(data, self._format)

    def _write(self, path: str, data: bytes) -> None:
        try:
            tried(lambda: self._fs.pipe_file(path, data))
        except FileNotFoundError:  # where folders are more than a part of a name
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            tried(lambda: self._fs.pipe_file(path, data))

    def _remove(self, folder: str, versions: Sequence[Version]) -> None:
        """Remove versions, the one that counts last, so that no older one ever takes its place."""
        for version in sorted(versions):
            with contextlib.suppress(FileNotFoundError):
                tried(lambda version=version: self._fs.rm_file(f"{folder}/{version.name}"))  # type: ignore[misc]

    def _map(self, function: Callable[[A], T], items: Sequence[A]) -> list[T]:
        if self._pool is None or len(items) < 2:  # noqa: PLR2004 - one alone
            return [function(item) for item in items]
        return list(self._pool.map(function, items))


def _lasts(record: ResultRecord, now: int) -> bool:
    return record.expires_at is None or record.expires_at > now
