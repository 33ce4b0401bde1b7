"""The files of a store that are for people: `tasks/<id>.json`, and a folder of links for each status.

They follow the log: whoever appends an entry writes them a few milliseconds later. The file `store/projection` says how
far they are, so that the next process goes on where one died. One process at a time writes them, from a view that is up
to date, so that they never go back.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from omniq.models.status import LIVE, TaskStatus
from omniq_file.documents import result_document, task_document, text_of
from omniq_file.locks import FileLock
from omniq_file.names import file_stem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from omniq.models.record import TaskRecord
    from omniq.models.result import ResultRecord

__all__ = ["FOLDERS", "Projection"]

FOLDERS = {state: state.value.lower() for state in TaskStatus}
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW


class Projection:
    """Writes the files.

    Args:
        root: The folder of the store.
        ending: Of the files' names.
        dump: Writes their content; None for JSON.

    Attributes:
        lock: Held by whoever writes them.
    """

    def __init__(self, root: Path, ending: str, dump: Callable[[dict[str, Any]], bytes] | None = None) -> None:
        self._root = root
        self._ending = ending
        self._dump = dump or text_of
        self._marker = root / "store" / "projection"
        self._mine = -1  # how far they were when this process wrote them last
        self._states: dict[str, TaskStatus] = {}  # of links that this process made, if nobody else wrote since
        self._has_results = False
        self.lock = FileLock(root / "store" / "projection.lock")
        for name in ("tasks", *FOLDERS.values()):
            (root / name).mkdir(mode=0o700, exist_ok=True)

    def close(self) -> None:
        """Let everything go."""
        self.lock.close()

    def reached(self) -> int:
        """Return the number of the first entry that is not shown yet; 0 if nobody knows."""
        try:
            return int(self._marker.read_bytes())
        except (OSError, ValueError):
            return 0

    def begin(self) -> int:
        """Return how far the files are; under the lock."""
        reached = self.reached()
        if reached != self._mine:
            self._states.clear()
            self._has_results = (self._root / "results").is_dir()
        return reached

    def end(self, reached: int) -> None:
        """Note how far the files are; under the lock."""
        temporary = self._marker.with_name("projection.tmp")
        self._write(str(temporary), b"%d\n" % reached)
        temporary.rename(self._marker)
        self._mine = reached

    def show(self, task_id: str, task: TaskRecord | None, result: ResultRecord | None) -> None:
        """Write what there is of an id, and remove what is not there any more; under the lock."""
        name = file_stem(task_id) + self._ending
        if task is not None:
            self._replace("tasks", name, self._dump(task_document(task, result)))
            self._link(task_id, name, task)
        else:
            self._states.pop(task_id, None)
            self._remove("tasks", name)
            for folder in FOLDERS.values():
                self._remove(folder, name)
        if task is None and result is not None:
            if not self._has_results:
                (self._root / "results").mkdir(mode=0o700, exist_ok=True)
                self._has_results = True
            self._replace("results", name, self._dump(result_document(result)))
        elif self._has_results:
            self._remove("results", name)

    def strays(self, states: Mapping[str, TaskStatus], results: Iterable[str], *, remove: bool = True) -> list[str]:
        """Remove files and links of ids that are not there, if so wanted, and return their paths; under the lock."""
        names = {task_id: file_stem(task_id) + self._ending for task_id in states}
        expected = {"tasks": set(names.values())}
        for state, folder in FOLDERS.items():
            expected[folder] = {names[task_id] for task_id, each in states.items() if each is state}
        expected["results"] = {file_stem(each) + self._ending for each in results}
        found: list[str] = []
        for folder, known in expected.items():
            with contextlib.suppress(FileNotFoundError):
                found += [f"{folder}/{name}" for name in os.listdir(self._root / folder) if name not in known]  # noqa: PTH208 - many
        for path in found if remove else ():
            with contextlib.suppress(OSError):
                (self._root / path).unlink()
        return found

    def expected(self, tasks: Sequence[tuple[TaskRecord, ResultRecord | None]]) -> dict[str, bytes]:
        """Return what the files of tasks have to contain, by path; links begin with `->`."""
        found: dict[str, bytes] = {}
        for task, result in tasks:
            name = file_stem(task.id) + self._ending
            found[f"tasks/{name}"] = self._dump(task_document(task, result))
            found[f"{FOLDERS[task.state]}/{name}"] = f"->../tasks/{name}".encode()
        return found

    def _link(self, task_id: str, name: str, task: TaskRecord) -> None:
        """Have the one link of a task in the folder of its status."""
        state, before = task.state, self._states.pop(task_id, None)
        if state in LIVE:
            self._states[task_id] = state
        if before is state:
            return
        link = f"{self._root}/{FOLDERS[state]}/{name}"
        if before is not None:
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{self._root}/{FOLDERS[before]}/{name}", link)  # noqa: PTH104 - once a transition
                return
        with contextlib.suppress(FileExistsError):
            os.symlink(f"../tasks/{name}", link)  # noqa: PTH211 - once a transition
        for other, folder in FOLDERS.items():
            if other is not state and task.version > 1:  # else it has been in no other state
                self._remove(folder, name)

    def _replace(self, folder: str, name: str, data: bytes) -> None:
        temporary = f"{self._root}/store/document.tmp"
        self._write(temporary, data)
        os.rename(temporary, f"{self._root}/{folder}/{name}")  # noqa: PTH104 - once a transition

    def _write(self, path: str, data: bytes) -> None:
        descriptor = os.open(path, _FLAGS, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)

    def _remove(self, folder: str, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self._root}/{folder}/{name}")  # noqa: PTH108 - once a transition
