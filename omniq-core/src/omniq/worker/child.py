"""What happens inside a child process: one task after the other, until the pipe closes."""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import sys
import threading
from contextvars import copy_context
from multiprocessing import parent_process
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, NamedTuple

from omniq.errors import ConfigError
from omniq.models.error import ErrorInfo
from omniq.telemetry.subject import log_subject
from omniq.worker.context import Run

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from omniq.models.record import Grant

__all__ = ["Answer", "Begun", "Note", "Order", "RemoteError", "RemoteTaskError", "remote_error", "serve"]

_MARK = "__omniq_remote__"


class RemoteTaskError(Exception):
    """Stands for an exception of a child process that cannot be sent as it is."""


class Order(NamedTuple):
    """What a child is to run: an importable function, its arguments, and the grant for `current_task()`."""

    module: str
    qualname: str
    args: Any
    kwargs: dict[str, Any]
    grant: Grant


class Begun(NamedTuple):
    """The child has started and is about to call the function: the timeout counts from here."""


class Note(NamedTuple):
    """A progress note."""

    text: str


class RemoteError(NamedTuple):
    """What is known of an exception that happened in a child, where its traceback stays.

    Attributes:
        info: Its class, text and traceback.
        is_call_refused: Whether the arguments did not fit the function.
    """

    info: ErrorInfo
    is_call_refused: bool = False


def remote_error(error: BaseException) -> RemoteError | None:
    """Return what a child told about an exception; None if it happened in this process."""
    found = getattr(error, _MARK, None)
    return found if isinstance(found, RemoteError) else None


class Answer(NamedTuple):
    """The outcome of a run: a pickled value, or what the exception was and, if it can be pickled, the exception."""

    value: bytes | None
    exception: bytes | None = None
    remote: RemoteError | None = None

    def unwrap(self) -> Any:
        """Return the value or raise the exception."""
        if self.value is not None:
            return pickle.loads(self.value)  # noqa: S301 - our own child wrote it
        remote = self.remote or RemoteError(ErrorInfo(type="unknown"))
        try:
            error = pickle.loads(self.exception or b"")  # noqa: S301 - our own child wrote it
            setattr(error, _MARK, remote)
        except Exception:  # noqa: BLE001 - its class may refuse both
            error = RemoteTaskError(remote.info.summary())
            setattr(error, _MARK, remote)
        raise error


class _ChildDesk:
    """Where a task in a child process turns to."""

    def __init__(self, pipe: Connection[Any, Any]) -> None:
        self._pipe = pipe

    def begun(self) -> None:
        self._pipe.send_bytes(pickle.dumps(Begun()))

    def note(self, run: Run, text: str) -> None:
        del run
        self._pipe.send_bytes(pickle.dumps(Note(text)))

    def renew_soon(self, run: Run) -> None:
        """The worker renews the lease."""

    def superseded(self, run: Run) -> None:
        """The worker kills this process."""


def serve(pipe: Connection[Any, Any]) -> None:
    """Run orders until the pipe closes; the main function of a child process."""
    # Ctrl-C in a terminal reaches the children too; the worker decides when they end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="omniq-orphan-watch", daemon=True).start()
    desk = _ChildDesk(pipe)
    while True:
        try:
            data = pipe.recv_bytes()
        except EOFError:
            return
        answer = copy_context().run(_obey, data, desk)
        try:
            pipe.send_bytes(pickle.dumps(answer))
        except BrokenPipeError:
            return


def _end_with_parent() -> None:
    """Exit when the worker dies, whatever the task is doing: another worker will run it."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _obey(data: bytes, desk: _ChildDesk) -> Answer:
    try:
        order: Order = pickle.loads(data)  # noqa: S301 - the worker wrote it
        func = _find(order.module, order.qualname)
        log_subject.set(Run(order.grant, desk, 0.0))
        desk.begun()
        return Answer(_pickle(func(*order.args, **order.kwargs)))
    except BaseException as error:  # noqa: BLE001 - SystemExit in a task is the task's failure
        trace = error.__traceback__
        refused = isinstance(error, TypeError) and trace is not None and trace.tb_next is None
        remote = RemoteError(ErrorInfo.from_exception(error, drop_frames=1), refused)
        try:
            exception = pickle.dumps(error)
            pickle.loads(exception)  # noqa: S301 - many exceptions can be written and not read
        except Exception:  # noqa: BLE001 - then its description must do
            exception = None
        return Answer(None, exception, remote)


def _find(module: str, qualname: str) -> Any:
    found: Any = sys.modules.get(module) or _module(module)
    for name in qualname.split("."):
        found = getattr(found, name, None)
        if found is None:
            raise ConfigError(
                f"a process cannot import {module}.{qualname}: define the function at the top level of a module."
            )
    # The decorator replaced the function by its handle.
    definition = getattr(found, "definition", None)
    return found if definition is None else definition.func


def _module(name: str) -> Any:
    """Import the module, or return None if it is not on the path of this process."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # it is there, and one of its own imports is not
        return None


def _pickle(value: Any) -> bytes:
    try:
        return pickle.dumps(value)
    except Exception as error:
        raise ConfigError(
            f"the returned {type(value).__qualname__} cannot be sent from a process: {error}. Return plain data."
        ) from error
