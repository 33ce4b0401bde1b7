"""The harness of a mutant."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from omniq_conformance.discovery import find_harness
from omniq_conformance.harness import Harness
from omniq_conformance.mutants.catalog import find_mutant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from omniq_conformance.harness import OpenedStores
    from omniq_conformance.mutants.mutant import Mutant

__all__ = ["MutantHarness"]


class MutantHarness(Harness):
    """The backend's own harness, with the mutant applied inside of `with`.

    Processes that cases start get the harness too, and in these the mutant is applied as soon as a store is opened.
    """

    def __init__(self, mutant: Mutant) -> None:
        super().__init__()
        self.backend = mutant.backend
        self._key = mutant.key
        self._inner = find_harness(mutant.backend)
        self._applied = ExitStack()

    @property
    def _mutant(self) -> Mutant:
        return find_mutant(*self._key)

    async def open(self, namespace: str) -> OpenedStores:
        """Open the mutant's store."""
        self._mutant.apply()
        return await self._inner.open(namespace)

    async def destroy(self, namespace: str) -> None:
        """Remove the store."""
        await self._inner.destroy(namespace)

    async def snapshot(self, namespace: str) -> Mapping[str, Sequence[str]] | None:
        """Return what the backend's harness returns."""
        return await self._inner.snapshot(namespace)

    def __enter__(self) -> Self:
        self._applied.enter_context(self._mutant.applied())
        self._applied.enter_context(self._inner)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._applied.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_applied": None}
