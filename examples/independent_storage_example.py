"""The four roles in four stores, in each way of configuring them, and where everything ends up.

Prints::

    == in Python ==
    task queue        sqlite  tasks.db
    result storage    sqlite  results.db
    event storage     memory  -
    schedule storage  sqlite  schedules.db
    2 results: [7, 12]
    events: ENQUEUED STARTED COMPLETED ENQUEUED STARTED COMPLETED
    results.db      0 tasks, 2 results, 0 events, 0 schedules
    schedules.db    0 tasks, 0 results, 0 events, 1 schedules
    tasks.db        2 tasks, 0 results, 0 events, 0 schedules
    == from YAML ==
    task queue        sqlite  tasks.db
    result storage    sqlite  results.db
    event storage     sqlite  events.db
    schedule storage  sqlite  tasks.db
    2 results: [7, 12]
    events: ENQUEUED STARTED COMPLETED ENQUEUED STARTED COMPLETED
    events.db       0 tasks, 0 results, 6 events, 0 schedules
    results.db      0 tasks, 2 results, 0 events, 0 schedules
    tasks.db        2 tasks, 0 results, 0 events, 1 schedules
    == from the environment ==
    task queue        sqlite  omniq.db
    result storage    sqlite  results.db
    event storage     sqlite  omniq.db
    schedule storage  sqlite  omniq.db
    2 results: [7, 12]
    events: ENQUEUED STARTED COMPLETED ENQUEUED STARTED COMPLETED
    omniq.db        2 tasks, 0 results, 6 events, 1 schedules
    results.db      0 tasks, 2 results, 0 events, 0 schedules
"""

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from omniq import OmniQ
from omniq.models.config import OmniQConfig, StorageBackendConfig

IN_YAML = """
project_name: independent-storage-example

task_queue_backend:
  backend_type: sqlite
  url: sqlite:///tasks.db
  config:
    synchronous: FULL

result_storage_backend:
  backend_type: sqlite
  url: sqlite:///results.db

event_storage_backend:
  backend_type: sqlite
  url: sqlite:///events.db

default_ttl: 24h
"""  # schedules are not mentioned, so they fall back to the task queue's backend

IN_ENVIRONMENT = {
    "OMNIQ_BACKEND": "sqlite",
    "OMNIQ_RESULT_STORAGE_TYPE": "sqlite",
    "OMNIQ_RESULT_STORAGE_URL": "results.db",
}

COUNTS = """
SELECT (SELECT count(*) FROM tasks), (SELECT count(*) FROM result),
    (SELECT count(*) FROM event), (SELECT count(*) FROM schedule)
"""


def multiply(a: int, b: int) -> int:
    return a * b


def add(a: int, b: int) -> int:
    return a + b


def in_python() -> OmniQ:
    return OmniQ(
        config=OmniQConfig(
            task_queue_backend=StorageBackendConfig(backend_type="sqlite", url="sqlite:///tasks.db"),
            result_storage_backend=StorageBackendConfig(backend_type="sqlite", url="sqlite:///results.db"),
            event_storage_backend=StorageBackendConfig(backend_type="memory"),
            schedule_storage_backend=StorageBackendConfig(backend_type="sqlite", url="sqlite:///schedules.db"),
        )
    )


def from_yaml() -> OmniQ:
    Path("omniq.yaml").write_text(IN_YAML, "utf-8")
    return OmniQ(config=OmniQConfig.from_yaml("omniq.yaml"))


def from_environment() -> OmniQ:
    os.environ.update(IN_ENVIRONMENT)
    try:
        return OmniQ()
    finally:
        for name in IN_ENVIRONMENT:
            del os.environ[name]


def use(app: OmniQ) -> None:
    """Do the same work with any application."""
    with app:
        for role in app.stores.plan.roles:
            place = "-" if role.url is None else Path(role.url.removeprefix("sqlite:///")).name
            print(f"{role.role:<17} {role.backend_type:<7} {place}")
        app.add_schedule("nightly", add, [1, 2], cron="0 3 * * *", zone="Europe/Berlin")
        jobs = [app.enqueue(add, [3, 4]), app.enqueue(multiply, [3, 4])]
        with app.worker():
            results = [job.result(timeout=30) for job in jobs]
        print(f"{len(results)} results: {results}")
        print("events:", *(event.type.value for job in jobs for event in job.events()))


def look_into_the_stores() -> None:
    """Count what each file has, with nothing but SQLite."""
    for path in sorted(Path().glob("*.db")):
        with contextlib.closing(sqlite3.connect(path)) as db:
            tasks, results, events, schedules = db.execute(COUNTS).fetchone()
        print(f"{path.name:<15} {tasks} tasks, {results} results, {events} events, {schedules} schedules")


@contextlib.contextmanager
def fresh_folder() -> Iterator[None]:
    """Work in a temporary folder, because the urls of this example are relative."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        yield


def main() -> None:
    for title, make in (("in Python", in_python), ("from YAML", from_yaml), ("from the environment", from_environment)):
        print(f"== {title} ==")
        with fresh_folder():
            use(make())
            look_into_the_stores()


if __name__ == "__main__":
    main()
