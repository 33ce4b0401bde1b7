"""The task queue role: the truth of every task's life."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Self

from omniq.errors import CapabilityError
from omniq.models.redaction import show
from omniq.storage.role import Storage

if TYPE_CHECKING:
    import builtins
    from collections.abc import Mapping, Sequence

    from omniq.models.config import Role
    from omniq.models.event import Event
    from omniq.models.record import (
        CancelReply,
        Completion,
        Enqueued,
        Failure,
        Grant,
        HeartbeatReply,
        QueueStats,
        RedriveReply,
        Release,
        SettleReply,
        TaskFilter,
        TaskRecord,
        TaskSpec,
        Token,
    )
    from omniq.models.status import TaskStatus
    from omniq.storage.schedules import Advance

__all__ = ["TaskQueue"]


class TaskQueue(Storage):
    """A priority queue of leased tasks.

    The exact semantics are in docs/reference/contract.md, and the conformance suite is that page made executable.
    In short:

    * A batch equals its items applied in order at one `now`. Each item is atomic, the batch is not.
    * Every change by a worker carries the token of its claim and is one atomic compare-and-set on it. Time never
      enters a guard: only `claim`, `recover` and `enqueue` (for a unique key's expired holder) act on expiry.
    * An operation was applied, or certainly was not (`StorageError`), or its reply was lost (`OutcomeUnknownError`).
      Nothing is retried inside: enqueue is repeated with the same ids, a settling answers `already`, and a lost claim
      is looked up with `held`.
    * Every transition writes an outbox entry in the same step, except for roles that the queue has joined.
    * Times are integer milliseconds since the epoch, UTC. `now` None means the store's clock. Only the conformance
      suite passes `now`, and then in every call of a namespace.
    """

    # Life

    @abstractmethod
    def sibling(self) -> Self:
        """Return an unopened handle on the same store with a connection of its own.

        It may be opened in another thread and event loop; the worker renews its leases through one. It has joined
        the same roles.
        """

    @abstractmethod
    def join(self, roles: frozenset[Role]) -> frozenset[Role]:
        """Take over roles that share the transaction domain; called once, after opening.

        For a joined role the queue writes results, events or schedule advances in its own step, and the outbox has
        no entries for it.

        Args:
            roles: Roles whose storages report this queue's `transaction_domain`.

        Returns:
            The roles that are joined now; a subset.
        """

    @abstractmethod
    async def time(self) -> int:
        """Return the store's clock in milliseconds since the epoch, UTC."""

    # Producers

    @abstractmethod
    async def enqueue(self, specs: Sequence[TaskSpec], *, now: int | None = None) -> builtins.list[Enqueued]:
        """Add tasks.

        A spec is added as PENDING with `ready_at = max(eta, now)` and version 1 if its id is unknown and no live task
        of its queue holds its unique key; a holder that has expired is ended first. Otherwise nothing changes and the
        answer names the existing task (a known id wins over a held key). `seq` follows the order of the batch.

        Raises:
            LimitExceededError: A payload or an id is over the declared limits; nothing of the batch was stored.
        """

    async def enqueue_within(self, connection: object, specs: Sequence[TaskSpec]) -> builtins.list[Enqueued]:
        """Add tasks in a transaction that the caller has open on a connection to the same database.

        They are there once it is committed, and never if it is rolled back. Until then they hold up nobody else.

        Args:
            connection: The caller's connection or session; which kinds there are, the backend says.
            specs: The tasks.

        Returns:
            As of `enqueue`, as far as the transaction can see: an id or a key that another one takes before the commit
            drops the task then.

        Raises:
            CapabilityError: This backend has no such transactions.
        """
        del specs
        raise CapabilityError(
            f"connection: {show(connection)} is given, and a {type(self).__name__} cannot enqueue in transactions of "
            "its callers. Leave `connection` out, or keep the task queue in the same database with a backend that can: "
            "PostgreSQL's."
        )

    async def fire(
        self, specs: Sequence[TaskSpec], advance: Advance, *, now: int | None = None
    ) -> builtins.list[Enqueued] | None:
        """Enqueue a schedule's tasks and advance it in one transaction; only for a queue that joined the schedules.

        Returns:
            The answers as of `enqueue`, or None if the schedule's version is not the expected one; then nothing
            changed.

        Raises:
            CapabilityError: The queue has not joined the schedule role.
        """
        del specs, now
        raise CapabilityError(
            f"schedule {advance.id!r}: this task queue has not joined the schedule storage. Enqueue first, then "
            "advance the schedule."
        )

    @abstractmethod
    async def cancel(self, ids: Sequence[str], *, now: int | None = None) -> builtins.list[CancelReply]:
        """Cancel waiting tasks at once and ask for the cancelling of running ones.

        PENDING becomes CANCELLED (`cancelled`); RUNNING gets its cancel requested, once (`requested`); an ended task
        is left alone (`finished`).
        """

    @abstractmethod
    async def redrive(self, ids: Sequence[str], *, now: int | None = None) -> builtins.list[RedriveReply]:
        """Put FAILED and CANCELLED tasks back to PENDING at now with no attempts used.

        The task's `expires_at` is cleared and it leaves its series. `conflict`: a live task holds its unique key.
        """

    # Workers

    @abstractmethod
    async def claim(
        self,
        queues: Sequence[str],
        limit: int,
        worker: str,
        lease_ms: int,
        claim_id: str,
        *,
        now: int | None = None,
    ) -> builtins.list[Grant]:
        """Recover, then start the best ready tasks of the unpaused queues.

        The first `limit` by (priority desc, ready_at asc, seq asc) over the union of the queues become RUNNING with
        epoch + 1, attempts + 1, the nonce `claim_id` and a lease until now + `lease_ms`, and are returned in that
        order. Two claims never grant the same task; a record that cannot be decoded is ended as FAILED and never
        raises.

        Args:
            queues: Names of queues; the order does not matter.
            limit: At most so many; callers have that many free slots.
            worker: Who claims; kept in the record while RUNNING.
            lease_ms: How long the grant holds without a heartbeat.
            claim_id: 16 random hex digits, new for every call.
            now: See the class.
        """

    @abstractmethod
    async def held(self, worker: str, claim_id: str) -> builtins.list[Grant]:
        """Return the grants that are still RUNNING under this worker and claim, in claim order.

        A claim of this handle that was cancelled before this call is over when it answers: only what a network still
        carries may be granted later, and comes back when its lease ends.
        """

    @abstractmethod
    async def heartbeat(
        self, tokens: Sequence[tuple[str, Token]], lease_ms: int, *, now: int | None = None
    ) -> builtins.list[HeartbeatReply]:
        """Extend leases to max(old, now + lease_ms) for every (id, token) whose token is current.

        Not a new version and not an event. `cancel`: extended, and a cancel is requested; `lost`: not current.
        """

    @abstractmethod
    async def complete(self, items: Sequence[Completion], *, now: int | None = None) -> builtins.list[SettleReply]:
        """End runs as COMPLETED: `ok`, `already` (this token settled it before, whatever it became) or `lost`.

        It wins over a requested cancel. The next run of an interval series is enqueued in the same step, unless a
        cancel was requested.
        """

    @abstractmethod
    async def fail(self, items: Sequence[Failure], *, now: int | None = None) -> builtins.list[SettleReply]:
        """End runs that failed and return the new state, `already` or `lost`.

        A requested cancel makes it CANCELLED; `retry_at` with attempts left makes it PENDING at
        max(retry_at, now); else it is FAILED, and the next run of its series is enqueued.
        """

    @abstractmethod
    async def release(self, items: Sequence[Release], *, now: int | None = None) -> builtins.list[SettleReply]:
        """Give runs back: PENDING at max(ready_at, now) with one attempt less, or CANCELLED if that was requested."""

    @abstractmethod
    async def recover(self, queues: Sequence[str], *, now: int | None = None) -> builtins.list[tuple[str, TaskStatus]]:
        """End or re-open every stale task of the queues, paused or not, and end every expired one.

        Stale: cancel requested becomes CANCELLED, no attempt left becomes FAILED("lease expired"), else PENDING at
        now. Expired: FAILED("expired"). May stop after `max_sweep`.

        Returns:
            (id, new state), stale ones by (lease_until, seq), then expired ones by (expires_at, seq).
        """

    # Queues

    @abstractmethod
    async def pause(self, queues: Sequence[str]) -> None:
        """Stop claims from these queues, durably. They still accept tasks and are still recovered."""

    @abstractmethod
    async def resume(self, queues: Sequence[str]) -> None:
        """Allow claims again and wake idle workers."""

    @abstractmethod
    async def queues(self, *, now: int | None = None) -> builtins.list[QueueStats]:
        """Return every queue that has a task or is paused, by name in code point order."""

    # Reading

    @abstractmethod
    async def get(self, ids: Sequence[str]) -> builtins.list[TaskRecord | None]:
        """Return each record, None for an unknown id."""

    @abstractmethod
    async def list(
        self,
        filter: TaskFilter | None = None,
        *,
        after: int | None = None,
        limit: int = 100,
        desc: bool = False,
        now: int | None = None,
    ) -> builtins.list[TaskRecord]:
        """Return records by seq: seq > `after` ascending, or with `desc` seq < `after` descending; at most `limit`.

        A record whose membership does not change during a scan is returned exactly once.
        """

    @abstractmethod
    async def count(self, filter: TaskFilter | None = None, *, now: int | None = None) -> int:
        """Return how many records the filter means."""

    @abstractmethod
    async def purge(
        self,
        states: frozenset[TaskStatus],
        before: int,
        limit: int = 1000,
        *,
        pinned_before: int | None = None,
    ) -> builtins.list[str]:
        """Remove ended tasks with finished_at < `before` and an empty outbox, oldest (finished_at, seq) first.

        States that are not terminal are ignored. `pinned_before` replaces `before` for pinned tasks. Returns the ids.
        """

    # Waiting

    @abstractmethod
    async def next_at(self, queues: Sequence[str]) -> int | None:
        """Return when work may come up: min(ready_at of PENDING in unpaused queues, lease_until of RUNNING)."""

    @abstractmethod
    async def wait(self, queues: Sequence[str], timeout: float) -> None:
        """Return when work may exist, or after `timeout` seconds; may return without a cause.

        Whatever lowers `next_at` by any handle on the store wakes a waiter, by push where the engine can push, and
        at worst after `max_wait`. Work that became possible after the previous `wait` or `claim` of this handle began
        is never slept through. The caller limits `timeout` by `next_at`.
        """

    @abstractmethod
    async def wait_done(self, ids: Sequence[str], timeout: float) -> Mapping[str, TaskStatus | None]:
        """Return as soon as at least one of the tasks has ended, or is expired or unknown, or after `timeout` seconds.

        Expiry is judged by the store's own clock.

        Returns:
            The ids that are done: the terminal state, FAILED for an expired one, None for an unknown id. Empty if
            the time ran out.
        """

    # Outbox

    @abstractmethod
    async def outbox(self, limit: int = 1000, *, min_age_ms: int = 0, now: int | None = None) -> builtins.list[Event]:
        """Return entries that are not acknowledged and at least so old, in the order in which they were written.

        So they come in version order per task, and an entry never comes before an earlier one of its task, even if
        the clock stepped back between the two.
        """

    @abstractmethod
    async def outbox_ack(self, entries: Sequence[Event]) -> None:
        """Forget entries that every role outside the queue's transaction domain has. Repeating it is harmless."""
