"""Uses that type checkers reject. Either of them complains about a comment for an error that it does not see."""

# fmt: off
from __future__ import annotations

from datetime import UTC, datetime

from omniq import AsyncOmniQ, Job, OmniQ, SyncJob

app = AsyncOmniQ("tasks.db")
sync = OmniQ("tasks.db")


@app.task
async def fetch(url: str, *, retries: int = 3) -> bytes:
    return f"{url} {retries}".encode()


@sync.task(queue="cpu")
def repeat(text: str, times: int) -> str:
    return text * times


@app.task(queu="mail")  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportCallIssue, reportUntypedFunctionDecorator]
def misspelt() -> None: ...


@app.task(interval=60)  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType]
def bare_interval() -> None: ...


async def asynchronous() -> None:
    await fetch.enqueue(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await fetch.enqueue()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await fetch.enqueue("x", retry=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await fetch.enqueue("x", delay=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await fetch.options(dely=5).enqueue("x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue, reportUnknownMemberType]
    fetch.options(interval=60)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    fetch.call("x", "y")  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]
    wrong: Job[str] = await fetch.enqueue("x")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    await app.enqueue(fetch, "x")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await app.enqueue(fetch, ("x",), eta="tomorrow")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await app.enqueue(5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await app.enqueue_many(fetch, ["x"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await app.list_tasks(state="FAILED")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await app.cancel(5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await app.add_schedule("s", fetch, cron=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    value: str = await (await fetch.enqueue("x")).result()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    del wrong, value


def blocking() -> None:
    repeat.enqueue("a", "b")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    repeat.enqueue("a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    repeat("a", "b")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    wrong: SyncJob[int] = repeat.enqueue("a", 1)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    value: int = repeat.enqueue("a", 1).result()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    sync.enqueue(repeat, ("a", 1), priority="high")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    sync.retry(status=5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    sync.next_fire_times("s", "many")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    sync.events(since="yesterday")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    sync.purge(older_than=datetime.now(UTC))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    del wrong, value
