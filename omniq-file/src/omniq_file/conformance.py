"""How the conformance suite opens this backend; needs omniq-conformance."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from omniq.storage.backend import BackendConfig
from omniq_conformance import Harness, OpenedStores, open_plugin
from omniq_file import plugin
from omniq_file.chores import state_before
from omniq_file.descriptor import FORMAT, NAME
from omniq_file.formats import make_format
from omniq_file.machine.transaction import fold
from omniq_file.machine.view import View
from omniq_file.names import file_stem
from omniq_file.objects import ObjectMedium
from omniq_file.options import FileOptions
from omniq_file.projection import FOLDERS
from omniq_file.segments import Segments
from omniq_file.versions import id_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["FileHarness", "FileSyncHarness", "MemoryFsHarness", "MsgpackHarness", "ResultFilesHarness", "S3Harness"]

_GOLDEN = Path(__file__).parents[2] / "golden"  # in the source tree, and not in the wheel
_BUCKET = "omniq-conformance"
_KEYS = {"key": "test", "secret": "test"}  # moto takes any
_START = 30.0
_REST = 5.0
_SHOWN = ("tasks", *FOLDERS.values())
_KEPT = (NAME, "store/log", "store/checkpoints", "store/blobs")


class FileHarness(Harness):
    """A namespace is a folder."""

    backend = "file"
    options: ClassVar[Mapping[str, Any]] = {}
    golden = _GOLDEN if _GOLDEN.is_dir() else None

    async def open(self, namespace: str) -> OpenedStores:
        """Return a handle on the store of the namespace."""
        url = str(self.folder(namespace))
        return await open_plugin(plugin, BackendConfig(backend_type="file", url=url, options=self.options))

    async def destroy(self, namespace: str) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder(namespace))

    async def snapshot(self, namespace: str) -> Mapping[str, Sequence[str]]:
        """Fold the log, and list the files for people."""
        root = self.folder(namespace)
        segments = Segments(root / "store", sync=False, sync_ever=False)
        name = json.loads((root / NAME).read_bytes())["serialization_format"]
        deadline = time.monotonic() + _REST
        while True:
            view = state_before(segments, make_format(name), 1 << 60)
            shown = {folder: sorted(path.stem for path in (root / folder).iterdir()) for folder in _SHOWN}
            expected = {folder: sorted(map(file_stem, _shown_in(view, folder))) for folder in _SHOWN}
            if shown == expected or time.monotonic() > deadline:  # the files follow a few milliseconds later
                return {**stored_ids(view), **{f"files in {folder}": names for folder, names in shown.items()}}
            await asyncio.sleep(0.01)

    async def save(self, namespace: str, folder: Path) -> None:
        """Copy what counts."""
        _copy(self.folder(namespace), folder)

    async def restore(self, namespace: str, folder: Path) -> None:
        """Copy it back."""
        self.folder(namespace).mkdir()
        _copy(folder, self.folder(namespace))

    async def make_newer(self, namespace: str) -> None:
        """Raise the numbers of the format."""
        path = self.folder(namespace) / NAME
        described = json.loads(path.read_bytes())
        described |= {"format": FORMAT + 1, "min_reader": FORMAT + 1, "min_writer": FORMAT + 1}
        path.write_text(json.dumps(described), "utf-8")


class FileSyncHarness(FileHarness):
    """Stores that survive a crash of the system."""

    options: ClassVar[Mapping[str, Any]] = {"fsync": "always"}


class MsgpackHarness(FileHarness):
    """Stores that are written as msgpack."""

    options: ClassVar[Mapping[str, Any]] = {"serialization_format": "msgpack"}
    golden = _GOLDEN.with_name("golden-msgpack") if _GOLDEN.is_dir() else None


class MemoryFsHarness(FileHarness):
    """Stores in the memory of this process, through fsspec."""

    async def open(self, namespace: str) -> OpenedStores:
        """Return a handle on the store of the namespace."""
        return await open_plugin(plugin, self._config(namespace))

    async def destroy(self, namespace: str) -> None:
        """Remove the objects."""
        import fsspec

        fsspec.filesystem("memory").rm(f"/{namespace}", recursive=True)

    async def snapshot(self, namespace: str) -> Mapping[str, Sequence[str]]:
        """Fold the objects of the log."""
        medium = ObjectMedium(FileOptions.read(self._config(namespace)))
        return await asyncio.to_thread(_snapshot_of, medium)

    def _config(self, namespace: str) -> BackendConfig:
        return BackendConfig(backend_type="file", url=f"memory://{namespace}", options=self.options)

    save, restore, make_newer = Harness.save, Harness.restore, Harness.make_newer
    golden = None


class ResultFilesHarness(FileHarness):
    """Results alone, in a file system of fsspec without conditional writes: a folder, through `dir`."""

    golden = None

    async def open(self, namespace: str) -> OpenedStores:
        """Return a handle on the results of the namespace."""
        results = plugin.omniq_create_result_storage(self._config(namespace))
        await results.open()
        return OpenedStores(results=results)

    async def destroy(self, namespace: str) -> None:
        """Remove the folder, which the first result makes."""
        with contextlib.suppress(FileNotFoundError):
            await super().destroy(namespace)

    async def snapshot(self, namespace: str) -> Mapping[str, Sequence[str]]:
        """List the folders of ids."""
        folders = self.folder(namespace).glob("results/*/*")
        return {"results": [name for path in folders if any(path.iterdir()) and (name := id_of(path.name)) is not None]}

    def _config(self, namespace: str) -> BackendConfig:
        options = {"storage_options": {"path": str(self.folder(namespace)), "target_protocol": "file"}, **self.options}
        return BackendConfig(backend_type="file", url="dir://", options=options)

    save, restore, make_newer = Harness.save, Harness.restore, Harness.make_newer


class S3Harness(MemoryFsHarness):
    """Stores in a bucket of moto's server, which is started in a process of its own."""

    arguments: ClassVar[Sequence[str]] = ()
    """For the server, see `omniq_file.moto_server`."""
    _process: subprocess.Popen[bytes] | None = None

    def _config(self, namespace: str) -> BackendConfig:
        options = {"storage_options": {**_KEYS, "endpoint_url": self.url}, "poll_interval": 0.1, **self.options}
        return BackendConfig(backend_type="file", url=f"s3://{_BUCKET}/{namespace}", options=options)

    async def destroy(self, namespace: str) -> None:
        """Remove the objects."""
        import s3fs

        fs = s3fs.S3FileSystem(endpoint_url=self.url, use_listings_cache=False, **_KEYS)
        with contextlib.suppress(FileNotFoundError):
            await asyncio.to_thread(fs.rm, f"{_BUCKET}/{namespace}", recursive=True)

    def __enter__(self) -> Self:
        if self.url is None:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            command = [sys.executable, "-m", "omniq_file.moto_server", str(port), *self.arguments]
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
            self.url = f"http://127.0.0.1:{port}"
            _make_bucket(self.url)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = self.url = None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_process": None}


def _shown_in(view: View, folder: str) -> list[str]:
    """Return the ids of the tasks that have to be shown in a folder."""
    return [task.id for task in view.tasks.values() if folder in {"tasks", FOLDERS[task.state]}]


def _snapshot_of(medium: ObjectMedium) -> dict[str, list[str]]:
    medium.open()
    view, form = View(), make_format("json")
    for payload in [*medium.restore(), *medium.read(exclusive=False)]:
        fold(view, form.load(payload)["do"], form)
    return stored_ids(view)


def _make_bucket(url: str) -> None:
    import s3fs

    deadline = time.monotonic() + _START
    while True:
        try:
            s3fs.S3FileSystem(endpoint_url=url, skip_instance_cache=True, **_KEYS).mkdir(_BUCKET)
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def stored_ids(view: View) -> dict[str, list[str]]:
    """Return what a view has, as snapshots name it."""
    return {
        "tasks": list(view.tasks),
        "results": list(view.results.by_id),
        "schedules": list(view.schedules),
        "events": [f"{row[0]}/{row[2]}" for _, row in view.events],
        "outbox": [f"{row[0]}/{row[2]}" for row in view.outbox.values()],
        "blobs": list(view.blobs),
        "paused queues": list(view.paused),
    }


def _copy(source: Path, destination: Path) -> None:
    for name in _KEPT:
        path = source / name
        if path.is_dir():
            shutil.copytree(path, destination / name)
        elif path.exists():
            shutil.copyfile(path, destination / name)
