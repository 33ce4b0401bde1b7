"""What is asked of JetStream: compare-and-set on a subject, the last message of a subject, and its management."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from omniq.errors import ConfigError, OmniQError, OutcomeUnknownError
from omniq_nats.failures import RefusedError, answer_of, lost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq_nats.link import Link
    from omniq_nats.names import Names
    from omniq_nats.wire import Request

__all__ = ["CONFLICT", "CURRENT", "PASSING", "PAUSES", "JetStream", "Message", "Progress", "Write", "millis"]

CONFLICT = 0
"""Stands for the number of a message that was not written, because another one was written before."""

_SEQ = re.compile(rb'"seq": ?(\d+)')
_HEADER_SEQ = re.compile(rb"\r\nNats-Sequence: (\d+)")
_HEADER_TIME = re.compile(rb"\r\nNats-Time-Stamp: ([^\r]+)")
_WRONG_SEQUENCE = (10071, 10164)
_NO_MESSAGE = 10037
_NO_STREAM = 10059
PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.4, 0.4, 0.4)
"""Seconds between the tries of what the server cannot do at the moment."""
_MOST_TIME = 3.0
PASSING = 86_400
"""Seconds for which the message stays that tells of the end of a task: whoever follows the log has to see it."""


class Write(NamedTuple):
    """A message to be written.

    Attributes:
        subject: Its subject.
        expected: The number of the subject's last message, 0 if there must be none, None if that does not matter.
        payload: What is written.
        is_only: Whether older messages of the subject go.
        is_passing: Whether it may go by itself after `PASSING` seconds, where servers can do that.
    """

    subject: str
    expected: int | None
    payload: bytes
    is_only: bool = False
    is_passing: bool = False


class Message(NamedTuple):
    """A stored message: its number, its payload, and the server's time when it was stored (milliseconds)."""

    rev: int
    payload: bytes
    at: int


class Progress:
    """What became of a call's writes so far.

    Attributes:
        applied: How many were applied.
    """

    __slots__ = ("applied",)

    def __init__(self) -> None:
        self.applied = 0

    def failed(self, error: OmniQError) -> OmniQError:
        """Return the error for the caller, who has to know whether something was applied."""
        if not self.applied or isinstance(error, OutcomeUnknownError):
            return error
        made = OutcomeUnknownError(f"A part of the batch was applied before this: {error}")
        made.__cause__ = error
        return made


CURRENT: ContextVar[Progress | None] = ContextVar("omniq_nats_progress", default=None)
"""That of the call that is under way in this context."""


class JetStream:
    """The streams of one namespace.

    Args:
        link: The way to the servers.
        names: Of the streams.

    Attributes:
        is_direct: Whether any server that answers has the last message of a subject: there is one replica.
        rolls_up: Whether a message may take the place of older ones of its subject. Consumers of old servers then pass
            over messages of others; there the one that was replaced is deleted by its number.
        passes: Whether a message may have a time after which it goes.
    """

    def __init__(self, link: Link, names: Names) -> None:
        self.link = link
        self.names = names
        self.is_direct = False
        self.rolls_up = True
        self.passes = False

    # Management

    async def api(self, subject: str, body: object = None) -> dict[str, Any]:
        """Make a request that may be repeated, and return its answer.

        Raises:
            RefusedError: The server refused it.
            ConnectionLostError: There is no answer.
            ConfigError: The user may not make it.
        """
        payload = b"" if body is None else json.dumps(body).encode()
        request = [(f"$JS.API.{subject}", b"", payload)]
        refusal = RefusedError(0, 503, "nobody answers for JetStream; is it enabled on the server?")
        for pause in (*PAUSES, None):
            (reply,) = await self.link.read(request)
            if reply is None:
                raise self._unanswered(subject)
            try:
                if not reply[0].startswith(b"NATS/1.0 503"):
                    return answer_of(reply[1])
            except RefusedError as error:
                if not error.is_away:
                    raise
                refusal = error
            if pause is not None:
                await asyncio.sleep(pause)
        raise refusal.mapped()

    def _unanswered(self, subject: str) -> OmniQError:
        """Return the error of a request that has no answer and changes nothing."""
        self.link.check_open()
        if "ermissions" in self.link.refusal and subject in self.link.refusal:
            return ConfigError(
                f"The server at {self.link.options.where} refuses a request: {self.link.refusal}. Give the user this "
                "permission; the documentation of the NATS backend lists all."
            )
        return lost(self.link.options.where, "it did not come in time")

    async def info(self, stream: str) -> dict[str, Any] | None:
        """Return what the server tells about a stream, None if there is no such stream."""
        try:
            return await self.api(f"STREAM.INFO.{stream}")
        except RefusedError as error:
            if error.code == _NO_STREAM:
                return None
            raise error.mapped() from error

    # Writing

    async def write(self, writes: Sequence[Write], progress: Progress) -> list[int]:
        """Write messages, all at once, and return the number of each, or `CONFLICT`.

        A write whose answer was lost is looked for; it is never repeated.

        Raises:
            ConnectionLostError: Nothing was applied.
            OutcomeUnknownError: Some may have been applied.
        """
        outcomes = await self._write(writes, progress)
        if not self.rolls_up:
            self._drop_replaced(writes, outcomes)
        return outcomes

    async def _write(self, writes: Sequence[Write], progress: Progress) -> list[int]:
        outcomes: list[int] = [CONFLICT] * len(writes)
        todo = list(range(len(writes)))
        requests = [self._request(write) for write in writes]
        failure: OmniQError | None = None
        clock = asyncio.get_running_loop().time
        until = clock() + _MOST_TIME
        for pause in (*PAUSES, None):
            try:
                replies = await self.link.ask([requests[index] for index in todo])
            except OmniQError as error:
                raise progress.failed(error) from error
            away: list[int] = []
            unknown: list[int] = []
            for index, reply in zip(todo, replies, strict=True):
                if reply is None:
                    unknown.append(index)
                    continue
                outcomes[index], refusal = _outcome(*reply)
                if outcomes[index] != CONFLICT:
                    _count(progress)
                if refusal is not None:
                    failure = refusal.mapped()
                    away += [index] if refusal.is_away else []
            if unknown:
                await self._look_for(writes, unknown, outcomes, progress)
            if failure is None:
                break
            if not away or unknown or pause is None or clock() > until:
                raise progress.failed(failure)
            await asyncio.sleep(pause)
            todo, failure = away, None
        return outcomes

    def _request(self, write: Write) -> Request:
        headers = b""
        if write.expected is not None:
            headers = b"Nats-Expected-Last-Subject-Sequence: %d\r\n" % write.expected
        if write.is_only and self.rolls_up:
            headers += b"Nats-Rollup: sub\r\n"
        if write.is_passing and self.passes:
            headers += b"Nats-TTL: %d\r\n" % PASSING
        return write.subject, headers, write.payload

    def _drop_replaced(self, writes: Sequence[Write], outcomes: Sequence[int]) -> None:
        done = zip(writes, outcomes, strict=True)
        old = [write.expected for write, rev in done if write.is_only and write.expected and rev != CONFLICT]
        if old:
            self.drop(self.names.log, old)

    async def _look_for(
        self, writes: Sequence[Write], unknown: Sequence[int], outcomes: list[int], progress: Progress
    ) -> None:
        """Find out what became of writes whose answers were lost.

        Raises:
            OutcomeUnknownError: That cannot be told of all.
        """
        error: OmniQError | None = None
        try:
            found = await self.last([writes[index].subject for index in unknown])
        except OmniQError as failure:
            found, error = [None] * len(unknown), failure
        missing = []
        for index, message in zip(unknown, found, strict=True):
            if message is not None and message.payload == writes[index].payload:
                outcomes[index] = message.rev
                _count(progress)
            else:
                missing.append(index)
        if missing:
            raise OutcomeUnknownError(
                f"The answers to {len(missing)} of {len(writes)} writes to the server at {self.link.options.where} "
                "were lost: they may have been applied."
            ) from error

    async def delete(self, stream: str, revs: Sequence[int], progress: Progress) -> list[bool]:
        """Delete messages by their numbers, and tell of each whether it was there.

        Raises:
            ConnectionLostError: Nothing was applied.
            OutcomeUnknownError: Some may have been applied.
        """
        subject = f"$JS.API.STREAM.MSG.DELETE.{stream}"
        requests = [(subject, b"", b'{"seq":%d,"no_erase":true}' % rev) for rev in revs]
        answers = []
        for reply in await self.link.ask(requests):
            if reply is None:
                raise OutcomeUnknownError("The answer to a deletion was lost: it may have been applied.")
            headers, payload = reply
            try:
                if headers:
                    raise _refusal(headers, payload)
                answer_of(payload)
            except RefusedError as error:
                if error.is_away:
                    raise progress.failed(error.mapped()) from error
                answers.append(False)
            else:
                _count(progress)
                answers.append(True)
        return answers

    def drop(self, stream: str, revs: Sequence[int]) -> None:
        """Delete messages that nobody needs, without waiting; those that stay do no harm."""
        wire = self.link.current
        if wire is not None:
            for rev in revs:
                wire.ask_nobody(f"$JS.API.STREAM.MSG.DELETE.{stream}", b'{"seq":%d,"no_erase":true}' % rev)

    # Reading

    async def first(self, subjects: Sequence[str]) -> list[Message | None]:
        """Return the first message of each subject of the log, as the leader has it.

        Raises:
            ConnectionLostError: The answers were lost.
        """
        request = f"$JS.API.STREAM.MSG.GET.{self.names.log}"
        return await self._messages(
            [(request, b"", b'{"seq":1,"next_by_subj":"%b"}' % subject.encode()) for subject in subjects]
        )

    async def last(self, subjects: Sequence[str]) -> list[Message | None]:
        """Return the last message of each subject, as the leader has it.

        Raises:
            ConnectionLostError: The answers were lost.
        """
        streams = [self.names.log if self._in_log(subject) else self.names.keys for subject in subjects]
        requests: list[Request]
        if self.is_direct:
            requests = [
                (f"$JS.API.DIRECT.GET.{stream}.{subject}", b"", b"")
                for stream, subject in zip(streams, subjects, strict=True)
            ]
        else:
            requests = [
                (f"$JS.API.STREAM.MSG.GET.{stream}", b"", b'{"last_by_subj":"%b"}' % subject.encode())
                for stream, subject in zip(streams, subjects, strict=True)
            ]
        return await self._messages(requests)

    async def _messages(self, requests: Sequence[Request]) -> list[Message | None]:
        found: list[Message | None] = [None] * len(requests)
        todo = list(range(len(requests)))
        for pause in (*PAUSES, None):
            replies = await self.link.read([requests[index] for index in todo])
            away: list[int] = []
            refusal: RefusedError | None = None
            for index, reply in zip(todo, replies, strict=True):
                if reply is None:
                    raise self._unanswered(requests[index][0])
                try:
                    found[index] = _message(*reply)
                except RefusedError as error:
                    if not error.is_away:
                        raise error.mapped() from error
                    refusal = error
                    away.append(index)
            if refusal is None:
                break
            if pause is None:
                raise refusal.mapped()
            await asyncio.sleep(pause)
            todo = away
        return found

    def _in_log(self, subject: str) -> bool:
        return subject[len(self.names.prefix) + 1] in "lqs"


def _count(progress: Progress) -> None:
    progress.applied += 1
    current = CURRENT.get()
    if current is not None:
        current.applied += 1


def _outcome(headers: bytes, payload: bytes) -> tuple[int, RefusedError | None]:
    """Return the number of a message that was written, or `CONFLICT`, or why the server refused it."""
    if not headers and b'"error"' not in payload:
        found = _SEQ.search(payload)
        return (int(found[1]) if found else CONFLICT), None
    refusal = _refusal(headers, payload)
    return CONFLICT, None if refusal.code in _WRONG_SEQUENCE else refusal


def _refusal(headers: bytes, payload: bytes) -> RefusedError:
    if headers:
        status = headers[9:12].decode(errors="replace")
        return RefusedError(0, int(status) if status.isdecimal() else 0, headers[9:80].decode(errors="replace").strip())
    try:
        answer_of(payload)
    except RefusedError as error:
        return error
    return RefusedError(0, 0, payload[:200].decode(errors="replace"))


def _message(headers: bytes, payload: bytes) -> Message | None:
    if headers:
        if headers.startswith(b"NATS/1.0 404"):
            return None
        seq = _HEADER_SEQ.search(headers)
        at = _HEADER_TIME.search(headers)
        if seq is None or at is None:
            raise _refusal(headers, payload)
        return Message(int(seq[1]), payload, millis(at[1].decode()))
    try:
        message: Any = answer_of(payload)["message"]
    except RefusedError as error:
        if error.code == _NO_MESSAGE:
            return None
        raise
    return Message(message["seq"], base64.b64decode(message.get("data", "")), millis(message["time"]))


def millis(text: str) -> int:
    """Return a time as the server writes it in milliseconds since the epoch."""
    day, _, rest = text.partition("T")
    clock, dot, fraction = rest.rstrip("Z").partition(".")
    base = datetime.fromisoformat(f"{day}T{clock}+00:00")
    return int(base.timestamp()) * 1000 + (int(f"{fraction}000"[:3]) if dot else 0)
