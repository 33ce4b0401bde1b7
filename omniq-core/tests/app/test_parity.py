"""Both facades have the same methods, and neither does anything that the other does not."""

from __future__ import annotations

import inspect

import pytest

from omniq import AsyncOmniQ, Job, OmniQ, SyncJob
from omniq.queue.task import AsyncTaskHandle, SyncTaskHandle

PAIRS = [(AsyncOmniQ, OmniQ), (Job, SyncJob), (AsyncTaskHandle, SyncTaskHandle)]


def public(kind: type) -> dict[str, object]:
    members = {name: getattr(kind, name) for name in dir(kind) if not name.startswith("_")}
    return {name: member for name, member in members.items() if callable(member) or isinstance(member, property)}


def shape(member) -> list[tuple[str, object, object]]:
    return [
        (name, parameter.kind, parameter.default) for name, parameter in inspect.signature(member).parameters.items()
    ]


@pytest.mark.parametrize(("kind", "twin"), PAIRS)
def test_they_have_the_same_methods(kind, twin):
    # These are attributes of an instance on one side and properties on the other.
    assert public(twin).keys() - public(kind).keys() <= {"config", "registry", "serializers", "defaults"}
    assert public(kind).keys() - public(twin).keys() == set()


@pytest.mark.parametrize(("kind", "twin"), PAIRS)
def test_the_methods_take_the_same_arguments(kind, twin):
    for name, member in public(kind).items():
        other = getattr(twin, name)
        if callable(member):
            assert shape(member) == shape(other), name
            annotations = [
                {key: str(value) for key, value in inspect.get_annotations(method).items() if key != "return"}
                for method in (member, other)
            ]
            if name not in {"enqueue", "enqueue_many"}:  # overloads say there what is accepted
                assert annotations[0] == annotations[1], name


@pytest.mark.parametrize(("kind", "twin"), PAIRS)
def test_every_method_is_documented(kind, twin):
    for owner in (kind, twin):
        assert [name for name, member in public(owner).items() if not inspect.getdoc(member)] == []


def test_what_waits_is_a_coroutine_function_in_one_and_none_in_the_other():
    plain = {"task", "worker", "from_env", "iter_tasks", "tail_events"}
    for name, member in public(AsyncOmniQ).items():
        if callable(member):
            assert inspect.iscoroutinefunction(member) is (name not in plain), name
            assert not inspect.iscoroutinefunction(getattr(OmniQ, name)), name


def test_no_class_of_a_facade_has_more_than_twelve_public_methods():
    for facade in (AsyncOmniQ, OmniQ):
        for part in facade.__mro__:
            own = [
                name for name, member in vars(part).items() if not name.startswith("_") and inspect.isfunction(member)
            ]
            assert len(own) <= 12, (part, own)
