"""What a process keeps in memory, however long it runs."""

from __future__ import annotations

from omniq.models.config import Role
from omniq.models.record import TaskBody, TaskSpec
from omniq.storage import transitions
from omniq_nats.codec import SEQ, Slot, body_values
from omniq_nats.options import NatsOptions
from omniq_nats.steps import Steps
from omniq_nats.store import Store
from omniq_nats.view import View

BODY = TaskBody(func="m.f")
STEPS = Steps(frozenset(Role))


def live(view, number):
    """Show a view the whole life of a task, from enqueuing to its purge."""
    rev = 4 * number
    slot = STEPS.create(TaskSpec(id=f"t{number}", body=BODY, eta=2**43), body_values(BODY), number, Slot(f"t{number}"))
    slot.rev = slot.row[SEQ] = rev + 1
    view.apply(slot)
    slot = STEPS.start(slot, number, "w", 2**43, "nonce")
    slot.rev = rev + 2
    view.apply(slot)
    slot = STEPS.change(slot, lambda record: transitions.complete(record, number), number)
    slot.rev = rev + 3
    view.apply(slot)
    gone = slot.copy()
    gone.row, gone.rev = None, rev + 4
    view.apply(gone)
    view.passed(rev + 4)


def test_who_only_watches_forgets_what_is_gone():
    view = View()
    kept = STEPS.create(TaskSpec(id="kept", body=BODY), body_values(BODY), 5, Slot("kept"))
    kept.rev = kept.row[SEQ] = 1
    view.apply(kept)
    for number in range(1, 10_000):
        live(view, number)
    assert list(view.slots) == ["kept"]
    heaps = [*(heap for ranks in view._ready.values() for heap in ranks), *view._leases.values()]
    assert sum(map(len, heaps)) < 2_000
    assert view.next_at(["default"]) == 5
    assert view.ready(["default"], 5, 10) == [kept]


def test_own_messages_whose_echo_never_comes_are_forgotten():
    store = Store(NatsOptions(), "omniq")
    store.is_attached = True
    for rev in range(2, 40_000, 4):
        store.wrote(rev)
        store._advance(rev + 2)
    assert len(store._own) < 5_000
