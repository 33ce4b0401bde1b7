"""Runs claimed tasks: on the loop, in threads, in processes."""

from __future__ import annotations

import asyncio
import logging
import time
from asyncio import Task
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from omniq.serialization import decode_call
from omniq.telemetry.subject import log_subject
from omniq.worker.child import remote_error
from omniq.worker.eager import EAGERLY
from omniq.worker.plans import Plan, Planner
from omniq.worker.processes import ProcessPool
from omniq.worker.threads import ThreadPool
from omniq.worker.timeouts import Deadlines
from omniq.worker.verdict import Discard, Fail, HandBack, judge, unserializable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from omniq.queue.registry import TaskRegistry
    from omniq.serialization import SerializerRegistry
    from omniq.worker.context import Run
    from omniq.worker.options import WorkerOptions
    from omniq.worker.roster import Roster
    from omniq.worker.settling import Settler
    from omniq.worker.verdict import Verdict
    from omniq.worker.wrapping import Wrappers

__all__ = ["Executor"]

_log = logging.getLogger(__name__)


class Executor:
    """Starts runs, stops them, and passes their outcomes on to be recorded.

    Args:
        loop: The worker's loop.
        roster: The runs.
        settler: Records outcomes.
        registry: What may run.
        serializers: Decodes arguments, encodes results.
        serializer: The name of the serializer of results.
        options: The worker's options.
        recycle: Called when a body that cannot be stopped makes it necessary to replace this process.
        wrappers: The plugins around the execution of tasks.
    """

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        roster: Roster,
        settler: Settler,
        registry: TaskRegistry,
        serializers: SerializerRegistry,
        serializer: str,
        options: WorkerOptions,
        recycle: Callable[[], None],
        wrappers: Wrappers | None = None,
    ) -> None:
        self._loop = loop
        self._roster = roster
        self._settler = settler
        self._serializers = serializers
        self._dumps = serializers.get(serializer).dumps
        self._kill_grace = options.kill_grace_ms / 1000
        self._recycle = recycle
        self._wrappers = wrappers
        self._loads_json = serializers.get("json").loads
        self._planner = Planner(registry, options.unknown_task_grace_ms, has_wrappers=wrappers is not None)
        self._deadlines = Deadlines(loop, self._deadline_came)
        self._threads = ThreadPool(loop, self._thread_ended)
        self._processes = ProcessPool(options.processes, self._threads, self._process_begun)

    # Starting

    def start(self, runs: Iterable[Run]) -> None:
        """Start runs; those that finish in their first step are recorded when this returns.

        This is the hot path: coroutines whose positional arguments came as JSON, without plugins around them. All
        other runs take the long way, which does the same.
        """
        quick, drive, loop, loads = self._planner.quick, self._drive, self._loop, self._loads_json
        for run in runs:
            body = run.grant.body
            func = quick.get(body.func)
            if func is None or run.why_stopped or body.kwargs != b"{}" or body.codec != "json":
                self._start_any(run)
                continue
            try:
                args = loads(body.args)
            except Exception as error:  # noqa: BLE001 - a registered class may do anything when it is built
                self._conclude(run, self._planner.refuse(error))
                continue
            if type(args) is not list:
                self._start_any(run)
                continue
            if body.timeout_ms is not None:
                run.deadline = time.monotonic() + body.timeout_ms / 1000
            log_subject.set(run)
            # A coroutine that does not wait for anything finishes right here and is never scheduled.
            task = Task(drive(run, func, args), loop=loop, **EAGERLY)
            if not run.ended:
                self._watch(run, task)
        log_subject.set(None)

    def _start_any(self, run: Run) -> None:
        if run.why_stopped:
            self._conclude(run, judge(run, asyncio.CancelledError()))
            return
        plan = self._planner.find(run)
        if not isinstance(plan, Plan):
            self._conclude(run, plan)
            return
        body = run.grant.body
        try:
            args, kwargs = decode_call(self._serializers.get(body.codec), body.args, body.kwargs)
        except Exception as error:  # noqa: BLE001 - a registered class may do anything when it is built
            self._conclude(run, self._planner.refuse(error))
            return
        if body.timeout_ms is not None:
            run.deadline = time.monotonic() + body.timeout_ms / 1000
        log_subject.set(run)
        if plan.run_in == "loop":
            task = Task(self._drive_any(run, plan, args, kwargs), loop=self._loop, **EAGERLY)
            if not run.ended:
                self._watch(run, task)
        else:
            self._start_elsewhere(run, plan, args, kwargs)

    def _watch(self, run: Run, task: Task[None] | None) -> None:
        run.task = task
        if not run.ended:
            self._deadlines.add(run)
        if task is not None and not EAGERLY:
            # Before Python 3.12 it may be cancelled before its first step, and then `_drive` never gets to run.
            task.add_done_callback(lambda done: self._cancelled_early(run) if done.cancelled() else None)

    def _cancelled_early(self, run: Run) -> None:
        if not run.ended:
            self._conclude(run, judge(run, asyncio.CancelledError()))

    async def _drive(self, run: Run, func: Callable[..., Any], args: list[Any]) -> None:
        try:
            value = await func(*args)
        except BaseException as error:  # noqa: BLE001 - SystemExit in a task is the task's failure
            self._failed(run, error)
        else:
            self._succeeded(run, value)

    async def _drive_any(self, run: Run, plan: Plan, args: Any, kwargs: dict[str, Any]) -> None:
        wrappers = self._wrappers
        try:
            if wrappers is not None:
                wrappers.enter(run)
            try:
                value = await plan.func(*args, **kwargs) if plan.is_async else plan.func(*args, **kwargs)
            except BaseException as error:
                if wrappers is None:
                    raise
                value = wrappers.leave(run, None, error)
            else:
                if wrappers is not None:
                    value = wrappers.leave(run, value)
        except BaseException as error:  # noqa: BLE001 - SystemExit in a task is the task's failure
            self._failed(run, error)
        else:
            self._succeeded(run, value)

    def _start_elsewhere(self, run: Run, plan: Plan, args: Any, kwargs: dict[str, Any]) -> None:
        log_subject.set(run)
        try:
            if self._wrappers is not None:
                self._wrappers.enter(run)
        except BaseException as error:  # noqa: BLE001 - a plugin that refuses the run fails it
            self._failed(run, error)
            return
        context = copy_context()
        if plan.run_in == "process":
            run.deadline = None  # it counts from the call, and before that come a free process and its imports
            self._processes.submit(run, context, plan.func, args, kwargs)
        else:
            self._threads.submit(run, context, partial(plan.func, *args, **kwargs))
            self._deadlines.add(run)

    def _process_begun(self, run: Run) -> None:
        timeout_ms = run.grant.body.timeout_ms
        if timeout_ms is not None:
            run.deadline = time.monotonic() + timeout_ms / 1000
            self._loop.call_soon_threadsafe(self._watch, run, None)

    # Ending

    def _thread_ended(self, run: Run, value: Any, error: BaseException | None) -> None:
        self._processes.freed(run)
        if run.ended:
            self._ended_late(run)
            return
        if self._wrappers is not None:
            try:
                value = self._wrappers.leave(run, value, error)
                error = None
            except BaseException as raised:  # noqa: BLE001 - what the plugins made of the error counts
                error = raised
        if error is None:
            self._succeeded(run, value)
        else:
            self._failed(run, error)

    def _succeeded(self, run: Run, value: Any) -> None:
        if run.ended or run.why_stopped == "timeout":
            self._ended_late(run)
            return
        try:
            data = self._dumps(value)
        except Exception as error:  # noqa: BLE001 - the value's own methods may raise anything
            self._conclude(run, unserializable(value, error))
            return
        if run.deadline is not None:
            self._deadlines.discard(run)
        self._roster.end(run)
        self._settler.complete(run, data)

    def _ended_late(self, run: Run) -> None:
        """Take note of a body that came to its end after its timeout."""
        if run.ended:
            self._roster.stuck -= 1  # it was given up before, so there is nothing to record any more
        else:
            self._conclude(run, judge(run, asyncio.CancelledError()))

    def _failed(self, run: Run, error: BaseException) -> None:
        if run.ended:
            self._ended_late(run)
            return
        if isinstance(error, GeneratorExit) and self._loop.is_closed():
            raise error  # Python clears up what was left in a loop, and nothing can be recorded any more
        trace, remote = error.__traceback__, remote_error(error)
        # Only the worker's own frame: the call itself was refused, so the arguments do not fit the function.
        refused = isinstance(error, TypeError) and trace is not None and trace.tb_next is None
        if remote is not None:
            refused = remote.is_call_refused
        if run.plan is None:
            run.plan = self._planner.known.get(run.grant.body.func)
        self._conclude(run, judge(run, error, drop_frames=1, is_call_refused=refused))

    def _conclude(self, run: Run, verdict: Verdict) -> None:
        self._deadlines.discard(run)
        self._roster.end(run)
        match verdict:
            case Fail(error, delay_ms):
                self._settler.fail(run, error, delay_ms)
            case HandBack(delay_ms):
                self._settler.release(run, delay_ms)
            case Discard(why):
                self._roster.lost += 1
                self._roster.drop(run)
                _log.warning("task %s was stopped (%s); nothing is recorded", run.grant.id, why, extra=run.log_fields())

    # Stopping

    def interrupt(self, run: Run, why: str) -> None:
        """Ask a run to stop: coroutines are cancelled, processes killed, threads see `is_cancelled`."""
        if run.ended:
            return
        if not run.why_stopped:
            run.why_stopped = why
        if run.task is not None:
            run.task.cancel()
        elif self._processes.discard(run):
            self._conclude(run, judge(run, asyncio.CancelledError()))
        else:
            self._processes.kill(run)

    def running(self) -> list[Run]:
        """Return the runs whose body has not ended."""
        return [run for run in self._roster.held.copy().values() if not run.ended]

    def hand_back_waiting(self) -> None:
        """Hand back what was claimed and has not started, as all processes are busy."""
        for run in self._processes.waiting():
            self.interrupt(run, "shutdown")

    def give_up(self, run: Run) -> None:
        """Conclude a run whose body goes on although it was asked to stop."""
        if not run.ended:
            self._roster.stuck += 1
            self._conclude(run, judge(run, asyncio.CancelledError()))

    def _deadline_came(self, run: Run) -> None:
        if run.ended:
            return
        if not run.why_stopped:
            run.deadline = time.monotonic() + self._kill_grace
            self.interrupt(run, "timeout")
            if not run.ended:
                self._deadlines.add(run)
            return
        if run.why_stopped == "timeout":
            _log.error(
                "task %s did not end within %.1f s after its timeout; it fails, and this worker must be replaced",
                run.grant.id,
                self._kill_grace,
                extra=run.log_fields(),
            )
            self._roster.recycle_reason = f"{run.grant.body.func} did not end after its timeout (task {run.grant.id})"
            self.give_up(run)
            self._recycle()

    def close(self) -> None:
        """Let threads and processes go."""
        self._deadlines.close()
        self._processes.close()
        self._threads.close()
