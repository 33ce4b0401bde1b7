"""Several backends as one: each role is kept by the one that was chosen for it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Self

import attrs

from omniq.models.config import Role
from omniq_conformance.harness import ATTRIBUTES, Harness, OpenedStores
from omniq_conformance.outcomes import UnverifiedError
from omniq_conformance.roles import absence, offered_roles

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from types import TracebackType

    from omniq.storage.role import Storage

__all__ = ["MixedHarness", "completed"]


class MixedHarness(Harness):
    """Composes the roles of several harnesses.

    Each harness has a namespace of its own in every namespace of this one, so that two harnesses of one kind are two
    stores. A role without a harness is not opened.

    Args:
        parts: The harness that keeps each role.
    """

    def __init__(self, parts: Mapping[Role, Harness]) -> None:
        super().__init__()
        self.parts = {role: parts[role] for role in Role if role in parts}
        self.members = list({id(part): part for part in self.parts.values()}.values())
        self.backend = "+".join(member.backend for member in self.members)
        self._entered = contextlib.ExitStack()

    def keeper(self, role: Role) -> Harness:
        """Return the harness of the backend that keeps a role."""
        return self.parts[role].keeper(role) if role in self.parts else self

    async def open(self, namespace: str) -> OpenedStores:
        """Return a handle with each role of its own backend."""
        kept: dict[str, Storage] = {}
        spare = OpenedStores()
        try:
            for number, member in enumerate(self.members):
                spare = await member.open(_inner(namespace, number))
                for role, attribute in ATTRIBUTES.items():
                    storage = spare.role(role)
                    if storage is not None and self.parts.get(role) is member:
                        kept[attribute] = storage
                        spare = attrs.evolve(spare, **{attribute: None})
                await spare.close()
        except BaseException:
            await spare.close()
            await OpenedStores(**kept).close()  # type: ignore[arg-type] # each came from its own role
            raise
        return OpenedStores(**kept)  # type: ignore[arg-type] # as above

    async def destroy(self, namespace: str) -> None:
        """Remove the namespace from every backend."""
        for number, member in enumerate(self.members):
            await member.destroy(_inner(namespace, number))

    async def snapshot(self, namespace: str) -> Mapping[str, Sequence[str]] | None:
        """Return the ids that are stored, if every backend offers a view."""
        found: dict[str, Sequence[str]] = {}
        for number, member in enumerate(self.members):
            view = await member.snapshot(_inner(namespace, number))
            if view is None:
                return None
            # What is no role's own, such as the outbox, is the queue's.
            kept = {key for role, key in _VIEWS.items() if self.parts.get(role) is member}
            if self.parts.get(Role.TASK_QUEUE) is member:
                kept |= view.keys() - set(_VIEWS.values())
            found |= {key: ids for key, ids in view.items() if key in kept}
        return found

    def at(self, url: str) -> Self:
        """Refuse: no url is that of several backends.

        Raises:
            UnverifiedError: Always.
        """
        msg = f"{self.backend} is several backends, which cannot all be reached through {url}; test them one by one."
        raise UnverifiedError(msg)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as entered:
            for member in self.members:
                entered.enter_context(member)
            self._entered = entered.pop_all()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._entered.close()

    def __getstate__(self) -> dict[str, object]:
        return {**super().__getstate__(), "_entered": None}


_VIEWS = {
    Role.TASK_QUEUE: "tasks",
    Role.RESULT_STORAGE: "results",
    Role.EVENT_STORAGE: "events",
    Role.SCHEDULE_STORAGE: "schedules",
}


def _inner(namespace: str, number: int) -> str:
    return f"{namespace}-{number}"


def completed(harness: Harness, tested: Collection[Role]) -> Harness:
    """Return a harness with all roles: those that the backend does not offer are kept by the memory backend.

    Args:
        harness: Of the backend.
        tested: The roles that the case is about.

    Raises:
        UnsupportedError: The backend offers none of the tested roles.
        UnverifiedError: Roles are missing, and the memory backend is not installed.
    """
    missing = {
        role for role in Role if (offered := offered_roles(harness.keeper(role).backend)) and role not in offered
    }
    if not missing:
        return harness
    if missing.issuperset(tested):
        raise absence(next(iter(tested)), harness)
    from omniq_conformance.discovery import find_harness

    try:
        memory = find_harness("memory")
    except ValueError as error:
        names = ", ".join(sorted(missing))
        msg = f"The backend offers no {names}, and nothing else here does. Run: pip install omniq-memory"
        raise UnverifiedError(msg) from error
    return MixedHarness({role: memory if role in missing else harness.keeper(role) for role in Role})
