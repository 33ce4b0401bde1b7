"""How the conformance suite opens this backend; needs omniq-conformance."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from omniq.storage.backend import BackendConfig
from omniq_conformance import Harness, OpenedStores, open_plugin
from omniq_file import plugin
from omniq_file.chores import state_before
from omniq_file.descriptor import FORMAT, NAME
from omniq_file.formats import make_format
from omniq_file.segments import Segments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from omniq_file.machine.view import View

__all__ = ["FileHarness", "FileSyncHarness", "MsgpackHarness"]

_GOLDEN = Path(__file__).parents[2] / "golden"  # in the source tree, and not in the wheel
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
        view = state_before(segments, make_format(name), 1 << 60)
        files = {folder: sorted(path.name for path in (root / folder).iterdir()) for folder in ("tasks", "pending")}
        return {**stored_ids(view), **{f"files in {folder}": names for folder, names in files.items()}}

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
