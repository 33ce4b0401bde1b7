"""What the files say that are for people."""

from __future__ import annotations

import base64
import functools
import json
from datetime import datetime, timedelta
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any

from omniq.models.status import TaskStatus
from omniq_file.machine.stored import StoredBody, StoredResult

if TYPE_CHECKING:
    from omniq.models.record import TaskRecord
    from omniq.models.result import ResultRecord

__all__ = ["result_document", "task_document", "text_of"]

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the zone is added as text


def task_document(task: TaskRecord, result: ResultRecord | None) -> dict[str, Any]:
    """Return what is shown of a task. Times are ISO 8601 in UTC, durations seconds, the interval milliseconds."""
    body, state = task.body, task.state
    ended = _time(task.finished_at)
    return {
        "id": task.id,
        "func_path": body.func,
        "args": _in_blob(body) if type(body) is StoredBody else _value(body.codec, body.args),
        "kwargs": _in_blob(body) if type(body) is StoredBody else _value(body.codec, body.kwargs),
        "status": state.value,
        "attempts": task.attempts,
        "max_retries": task.max_attempts - 1,
        "timeout": _seconds(body.timeout_ms),
        "eta": _time(task.eta),
        "interval": task.interval_ms,
        "enqueued_at": _time(task.enqueued_at),
        "started_at": _time(task.started_at),
        "completed_at": ended if state is TaskStatus.COMPLETED else None,
        "failed_at": ended if state is TaskStatus.FAILED else None,
        "result": None if result is None else _outcome(result),
        "error": task.error,
        "cancelled_at": ended if state is TaskStatus.CANCELLED else None,
        "queue": task.queue,
        "priority": task.priority,
        "unique_key": task.unique_key,
        "headers": dict(body.headers),
        "expires_at": _time(task.expires_at),
        "ready_at": _time(task.ready_at),
        "result_ttl": _seconds(body.result_ttl_ms),
        "worker_id": task.worker,
        "cancel_requested": task.cancel_requested,
        "series_id": task.series_id,
        "codec": body.codec,
        "seq": task.seq,
        "epoch": task.epoch,
        "version": task.version,
    }


def result_document(result: ResultRecord) -> dict[str, Any]:
    """Return what is shown of an outcome whose task is kept elsewhere."""
    return {
        "id": result.id,
        "status": result.status.value,
        "result": _outcome(result),
        "error": result.error,
        "stored_at": _time(result.stored_at),
        "expires_at": _time(result.expires_at),
        "codec": result.codec,
        "seq": result.seq,
        "epoch": result.epoch,
    }


def text_of(document: dict[str, Any]) -> bytes:
    """Write a document as JSON, a line for each field."""
    # The encoder of the json module that indents is written in Python and takes five times as long.
    lines = [f'  "{name}": {_literal(value)}' for name, value in document.items()]
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode("utf-8", "surrogatepass")


_encode = json.JSONEncoder(ensure_ascii=False).encode
_LITERALS = {None: "null", True: "true", False: "false"}


def _literal(value: Any) -> str:
    if value is None or value is True or value is False:
        return _LITERALS[value]
    kind = type(value)
    if kind is str:
        return encode_basestring(value)
    return str(value) if kind is int else _encode(value)


def _outcome(result: ResultRecord) -> Any:
    if type(result) is StoredResult:
        return _in_blob(result)
    return None if result.value is None else _value(result.codec, result.value)


def _in_blob(record: StoredBody | StoredResult) -> dict[str, Any]:
    """Say where a payload is that is too large to be shown."""
    return {"codec": record.codec, "bytes": record.size, "file": f"store/blobs/{record.blob[:2]}/{record.blob}"}


def _time(at: int | None) -> str | None:
    if at is None:
        return None
    second, rest = divmod(at, 1000)
    text = _second(second)
    if text is None:
        return f"{at} ms"  # beyond the year 9999
    return f"{text}.{rest:03d}Z" if rest else f"{text}Z"


@functools.lru_cache(1024)
def _second(at: int) -> str | None:
    try:
        return (_EPOCH + timedelta(seconds=at)).isoformat()
    except OverflowError:
        return None


def _seconds(duration: int | None) -> float | None:
    return None if duration is None else duration / 1000


def _value(codec: str, data: bytes) -> Any:
    """Show encoded data: JSON as what it says, the rest as base64, because it may be anything."""
    if codec == "json":
        try:
            return json.loads(data)
        except ValueError:
            pass
    return {"codec": codec, "base64": base64.b64encode(data).decode()}
