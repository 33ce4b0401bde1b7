"""How much a run of the suite does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PROFILES", "Profile"]


@attrs.frozen(kw_only=True)
class Profile:
    """How much to do.

    Attributes:
        name: `smoke`, `pr` or `nightly`.
        queue_programs: Random programs for the task queue, in each mode.
        role_programs: Random programs for each other role.
        histories: Concurrent histories of each kind.
        tasks: Tasks of one concurrent history.
        ordered_tasks: Up to so many tasks are put into every order.
        large_payload: The largest payload that is stored, in bytes.
        largest_body: A body of exactly the backend's limit is stored if that is not more, in bytes.
        patience: How long a wait is asked to last, in seconds: longer than any wake-up may take.
        minimizes: Whether the shortest program that fails is looked for.
        crash_points: At how many points each case of crashes and failing disks hits a process, at most.
        kills: How many workers are killed at random moments.
        cuts: For how many operations of a scenario the connection is broken, at each of their chunks.
        server_kills: How often the server is killed under load.
    """

    name: str
    queue_programs: int
    role_programs: int
    histories: int
    tasks: int
    ordered_tasks: int
    large_payload: int
    largest_body: int
    patience: float = 20.0
    minimizes: bool = True
    crash_points: int = 48
    kills: int = 5
    cuts: int = 1_000
    server_kills: int = 3


PROFILES: Mapping[str, Profile] = {
    "smoke": Profile(
        name="smoke",
        queue_programs=20,
        role_programs=20,
        histories=1,
        tasks=40,
        ordered_tasks=2,
        large_payload=65_536,
        largest_body=1 << 22,
        crash_points=4,
        kills=2,
        cuts=6,
        server_kills=1,
    ),
    "pr": Profile(
        name="pr",
        queue_programs=75,
        role_programs=40,
        histories=2,
        tasks=40,
        ordered_tasks=3,
        large_payload=1_048_576,
        largest_body=1 << 26,
    ),
    "nightly": Profile(
        name="nightly",
        queue_programs=3000,
        role_programs=1000,
        histories=50,
        tasks=200,
        ordered_tasks=4,
        large_payload=16_777_216,
        largest_body=1 << 30,
        crash_points=1_000_000,
        kills=300,
        server_kills=30,
    ),
}
