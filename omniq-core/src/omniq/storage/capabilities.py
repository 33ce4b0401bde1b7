"""What a backend declares about itself once it is connected."""

from __future__ import annotations

from enum import StrEnum

import attrs

__all__ = ["Capabilities", "Durability", "Order", "Scope"]


class Durability(StrEnum):
    """What acknowledged writes survive, weakest first."""

    NONE = "none"
    PROCESS_CRASH = "process_crash"
    OS_CRASH = "os_crash"
    REPLICATED = "replicated"


class Scope(StrEnum):
    """Who can open the same store."""

    PROCESS = "process"
    HOST = "host"
    CLUSTER = "cluster"


class Order(StrEnum):
    """How exactly claims follow (priority desc, ready_at asc, seq asc)."""

    EXACT = "exact"
    READY_AT = "ready_at"
    """Exact only beyond the clock error; object stores."""
    PARTITION = "partition"
    """Exact within one partition only."""


@attrs.frozen(kw_only=True)
class Capabilities:
    """The permitted differences between backends, and nothing else. Filled after connecting.

    Attributes:
        durability: What acknowledged writes survive.
        scope: Who can open the same store.
        order: How exact the claim order is.
        push: Whether waits are woken by the engine rather than by polling.
        transaction_domain: Roles that report the same non-None value are served in the queue's own transaction.
        max_wait_ms: The longest that a missed wake-up can delay an idle waiter.
        max_sweep: How many tasks one `recover` handles before it may stop; at least 500.
        max_payload_bytes: Limit of the encoded args, kwargs and headers together, and of one result value.
        max_id_bytes: Limit of a task id, a queue name, a unique key and a schedule id, in UTF-8. The ids of the later
            runs of a series have up to 20 bytes more, which the store keeps all the same.
        clock_error_ms: By how much the store's clock may be wrong between two handles.
        injectable_time: Whether `now=` is honoured exactly; the conformance suite needs it.
        server_version: Product and version of the engine.
        warnings: What an operator should know, in full sentences.
    """

    durability: Durability
    scope: Scope
    order: Order = Order.EXACT
    push: bool = True
    transaction_domain: str | None = None
    max_wait_ms: int = 1000
    max_sweep: int = 1000
    max_payload_bytes: int = 64 * 1024 * 1024
    max_id_bytes: int = 512
    clock_error_ms: int = 0
    injectable_time: bool = True
    server_version: str = ""
    warnings: tuple[str, ...] = ()
