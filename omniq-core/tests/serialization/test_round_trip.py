"""Every supported value comes back exactly, in both formats."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniq.serialization import JsonSerializer, MsgpackSerializer, Serializer, TypeRegistry


class Color(enum.Enum):
    RED = (1, "red")
    BLUE = (2, "blue")


class Size(enum.IntEnum):
    SMALL = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


@attrs.frozen
class Item:
    name: str
    _price: Decimal
    tags: tuple[str, ...] = ()


@dataclasses.dataclass
class Order:
    id: UUID
    items: list[Item]
    extra: object = None
    total: int = dataclasses.field(init=False, default=7)


class Point(NamedTuple):
    x: int
    y: int


TYPES = TypeRegistry()
for cls in (Color, Size, Access, Item, Order, Point):
    TYPES.register(cls)

BERLIN = ZoneInfo("Europe/Berlin")
EXAMPLES = [
    None,
    True,
    0,
    -1,
    2**63,
    -(2**63) - 1,
    2**64,
    10**300,
    10**5000,
    -(10**5000),
    0.0,
    -0.0,
    1e-320,
    math.inf,
    -math.inf,
    "",
    "Zürich ☕",
    "file\udcff",
    "\ud83d\ude00",
    "\0",
    b"",
    bytes(range(256)),
    [],
    {},
    (),
    (1, (2, [3])),
    [(), [], {}],
    set(),
    {1, "a", (2, 3)},
    frozenset({b"x", frozenset()}),
    {1: 2, False: 3, None: 4, (1, 2): 5, b"k": 6, 1.5: 7, Color.RED: 8},
    {"$omniq": "dict", "v": 3},
    {"$omniq": None},
    {"a": {"$omniq": {"$omniq": 1}}},
    {"k\udcff": 1},
    {datetime(2024, 1, 1, tzinfo=UTC): date(2024, 1, 1)},
    datetime(2024, 2, 29, 12, 30, 15, 123456),  # noqa: DTZ001
    datetime(2024, 2, 29, fold=1),  # noqa: DTZ001
    datetime(2024, 2, 29, tzinfo=UTC),
    datetime(2024, 2, 29, tzinfo=timezone(timedelta(hours=-5, minutes=-30, seconds=-1))),
    datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN),
    datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1),
    datetime(2024, 3, 31, 2, 30, tzinfo=BERLIN),
    datetime(2024, 1, 1, tzinfo=ZoneInfo("UTC")),
    datetime.max,  # noqa: DTZ901 - naive is the point
    datetime.min,  # noqa: DTZ901 - naive is the point
    date.min,
    time(1, 2, 3, 4),
    time(1, 2, tzinfo=BERLIN, fold=1),
    time(1, 2, tzinfo=timezone(timedelta(hours=2))),
    timedelta.max,
    timedelta.min,
    timedelta(microseconds=-1),
    Decimal("1.10"),
    Decimal("-0E-30"),
    Decimal("Infinity"),
    UUID(int=5),
    Path("a/b"),
    Path("/tmp/\udcff"),
    PurePosixPath("x"),
    PureWindowsPath("C:\\x"),
    Color.RED,
    Size.SMALL,
    Access.READ | Access.WRITE,
    Point(1, 2),
    Item("a", Decimal("1.5"), tags=("x", "y")),
    Order(UUID(int=1), [Item("a", Decimal(1))], extra={Color.BLUE: {Point(0, 1)}}),
]


@pytest.fixture(params=[JsonSerializer, MsgpackSerializer], scope="module")
def serializer(request) -> Serializer:
    return request.param(TYPES)


def same(a: object, b: object) -> bool:  # noqa: PLR0911 - a case a type
    """Compare values with their types, zones, folds and signs."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return repr(a) == repr(b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    if isinstance(a, datetime | time):
        return a.replace(tzinfo=None) == b.replace(tzinfo=None) and a.fold == b.fold and same(a.tzinfo, b.tzinfo)
    if isinstance(a, Decimal):
        return repr(a) == repr(b)
    return a == b


@pytest.mark.parametrize("value", EXAMPLES, ids=[f"{type(value).__name__}-{n}" for n, value in enumerate(EXAMPLES)])
def test_examples_come_back_exactly(serializer, value):
    assert same(value, serializer.loads(serializer.dumps(value)))
    assert same([value, {"k": value}], serializer.loads(serializer.dumps([value, {"k": value}])))


def test_not_a_number(serializer):
    assert math.isnan(serializer.loads(serializer.dumps(math.nan)))
    assert Decimal("sNaN").compare_total(serializer.loads(serializer.dumps(Decimal("sNaN")))) == 0


@pytest.mark.parametrize("value", [[1, 2, 3], {"option": True, "x": None}, "text", 1.5, -3, [], {}, None, "Zürich"])
def test_natural_json_is_compact_and_readable(value):
    expected = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    assert expected == JsonSerializer().dumps(value)


def test_tags_are_readable():
    text = JsonSerializer().dumps([datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1), b"\0"]).decode()
    expected = '[{"$omniq":"datetime","v":"2024-10-27T02:30:00[Europe/Berlin][fold=1]"},{"$omniq":"bytes","v":"AA=="}]'
    assert expected == text


ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec=None))
    | st.binary()
    | st.datetimes(timezones=st.none() | st.timezones() | st.just(UTC))
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
)
KEYS = ATOMS | st.just("$omniq") | st.tuples(ATOMS, ATOMS) | st.frozensets(ATOMS)
VALUES = st.recursive(
    ATOMS | st.sets(KEYS) | st.frozensets(KEYS),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner) | st.lists(inner).map(tuple),
    max_leaves=20,
)


@given(VALUES)
def test_any_value_comes_back_exactly(serializer, value):
    assert same(value, serializer.loads(serializer.dumps(value)))


@given(st.recursive(st.none() | st.booleans() | st.integers(), st.lists) | st.text())
def test_natural_values_equal_the_standard_encoder(value):
    try:
        expected = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    if isinstance(value, str) or "9" * 300 not in str(value):
        assert expected == JsonSerializer().dumps(value)
