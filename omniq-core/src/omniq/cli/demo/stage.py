"""What the demo enqueues, and what became of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from omniq.cli.demo import tasks
from omniq.cli.demo.files import is_text
from omniq.models.schedule import MisfirePolicy
from omniq.queue.job import Job
from omniq.retry import RetryPolicy

if TYPE_CHECKING:
    from omniq.app import AsyncOmniQ
    from omniq.cli.demo.files import Selection
    from omniq.queue.task import TaskCall

__all__ = ["KINDS", "SCHEDULE_RUNS", "Piece", "Stage"]

KINDS = {
    "urgent": "urgent notice, enqueued last",
    "hash": "SHA-256 of files",
    "words": "words and lines of texts",
    "archive": "zip archive of folders",
    "index": "flaky index server",
    "report": "scheduled report",
    "spark": "speed test",
}
"""The kinds of work that end with a result, in the order in which they are shown."""

SCHEDULE_RUNS = 3
_SCHEDULE_EVERY = timedelta(milliseconds=300)


@attrs.define
class Piece:
    """One task of the demo.

    Attributes:
        kind: One of `KINDS`.
        subject: The file or folder that it works on.
        job: The task.
        value: What it returned, once it ended.
        error: How it failed, if it did.
    """

    kind: str
    subject: Path
    job: Job[Any]
    value: Any = None
    error: str = ""


class Stage:
    """Registers the demo's tasks on an application and enqueues them.

    Args:
        app: The application.
        queue: The queue for everything but the sparks.
        folder: Where the archives and the index go.
    """

    def __init__(self, app: AsyncOmniQ, queue: str, folder: Path) -> None:
        self.app = app
        self.queue = queue
        self.spark_queue = f"{queue}-sparks"
        self.schedule_id = f"{queue}-report"
        self.folder = folder
        self.pieces: list[Piece] = []
        self.cancelled: Job[None] | None = None
        self.twins: tuple[str, str] = ("", "")
        patient = RetryPolicy(base_delay=0.15, factor=2, jitter=0.1)
        self._hash = app.task(name="demo.hash_file", queue=queue)(tasks.hash_file)
        self._words = app.task(name="demo.count_words", queue=queue)(tasks.count_words)
        self._archive = app.task(name="demo.archive_folder", queue=queue, run_in="process")(tasks.archive_folder)
        self._index = app.task(name="demo.publish_index", queue=queue, retry=patient)(tasks.publish_index)
        self._report = app.task(name="demo.report_progress", queue=queue)(tasks.report_progress)
        self._urgent = app.task(name="demo.urgent_notice", queue=queue, priority=9)(tasks.urgent_notice)
        self._never = app.task(name="demo.never_runs", queue=queue)(tasks.never_runs)
        self.spark = app.task(name="demo.spark", queue=self.spark_queue)(tasks.spark)

    async def enqueue(self, selection: Selection) -> None:
        """Enqueue everything; no worker runs yet, so nothing starts before the last is in."""
        work: list[tuple[str, Path, TaskCall[Any]]] = []
        for file in selection.files:
            work.append(("hash", file, self._hash.call(str(file))))
            if is_text(file):
                work.append(("words", file, self._words.call(str(file))))
        for number, (folder, files) in enumerate(selection.folders().items(), 1):
            target = self.folder / f"{number:03}-{folder.name}.zip"
            names = [file.name for file in files]
            work.append(("archive", folder, self._archive.call(str(folder), names, str(target))))
        index = self._index.options(unique_key="index")
        names = [selection.name(file) for file in selection.files]
        publish = index.call(str(self.folder / "index.txt"), names)
        work.append(("index", selection.root, publish))
        jobs = await self.app.enqueue_many([call for _, _, call in work])
        self.pieces = [Piece(kind, subject, job) for (kind, subject, _), job in zip(work, jobs, strict=True)]
        self.twins = (jobs[-1].id, (await self.app.enqueue(publish)).id)
        self.cancelled = await self._never.options(delay=timedelta(hours=1)).enqueue()
        await self.app.cancel(self.cancelled)
        self.pieces.append(Piece("urgent", selection.root, await self._urgent.enqueue()))

    async def add_schedule(self) -> None:
        """Let the report be fired a few times from now on."""
        await self.app.add_schedule(
            self.schedule_id,
            self._report.call(str(self.folder)),
            interval=_SCHEDULE_EVERY,
            max_runs=SCHEDULE_RUNS,
            misfire=MisfirePolicy.ALL,
        )
