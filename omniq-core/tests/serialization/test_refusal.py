"""What cannot be encoded or decoded is refused, and the message says what and where."""

from __future__ import annotations

import collections
import contextlib
import decimal
import enum
import io
import json
from datetime import datetime, timedelta, tzinfo

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniq.errors import ConfigError, SerializationError
from omniq.serialization import (
    JsonSerializer,
    MsgpackSerializer,
    PickleSerializer,
    Serializer,
    SerializerRegistry,
    TypeRegistry,
    decode_call,
    encode_call,
    get_serializer,
    register_serializer,
)

KEY = "0123456789abcdef"


class OddZone(tzinfo):
    def utcoffset(self, dt):
        return timedelta(0)


class Mood(enum.StrEnum):
    GOOD = "good"


class Unprintable:
    def __repr__(self):
        raise RuntimeError


@pytest.fixture(params=[JsonSerializer, MsgpackSerializer], scope="module")
def serializer(request) -> Serializer:
    return request.param(TypeRegistry())


@pytest.mark.parametrize(
    "value",
    [
        object(),
        len,
        io.StringIO(),
        ValueError("x"),
        1j,
        range(3),
        bytearray(b"x"),
        Mood.GOOD,
        collections.OrderedDict(a=1),
        int,
        (i for i in "x"),
        datetime(2024, 1, 1, tzinfo=OddZone()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_types_are_refused(serializer, value):
    with pytest.raises(
        SerializationError, match=type(value).__name__ if value.__class__ is not datetime else "OddZone"
    ):
        serializer.dumps([value])


def test_the_argument_is_named(serializer):
    value = {"x": [1, 2, 3, io.StringIO()]}
    with pytest.raises(SerializationError) as caught:
        encode_call(serializer, "shop.ship", (1, value), {})
    message = str(caught.value)
    assert message.startswith(f"shop.ship: argument 2 (position 1) cannot be serialized by the {serializer.name} ")
    assert "args[1]['x'][3] is of type _io.StringIO" in message
    assert "register_type()" in message
    assert "pickle serializer" in message


def test_the_keyword_argument_is_named(serializer):
    with pytest.raises(SerializationError) as caught:
        encode_call(serializer, "shop.ship", (), {"ok": 1, "conn": object()})
    assert "shop.ship: keyword argument 'conn' cannot be serialized" in str(caught.value)
    assert "kwargs['conn'] is of type object" in str(caught.value)


def test_a_refused_dict_key_is_named_even_if_it_cannot_be_printed(serializer):
    with pytest.raises(SerializationError, match=r"value\[\?\] is of type .*Unprintable"):
        serializer.dumps({Unprintable(): 1})


def test_cycles_and_depth(serializer):
    loop: list = [1]
    loop.append({"again": loop})
    with pytest.raises(SerializationError, match="contains itself"):
        serializer.dumps(loop)
    with pytest.raises(SerializationError, match=r"args\[0\].* contains itself"):
        encode_call(serializer, "f", (loop,), {})
    deep: object = 1
    for _ in range(200):
        deep = [deep]
    with pytest.raises(SerializationError, match="nested more than 128 levels deep"):
        serializer.dumps(deep)


@pytest.mark.parametrize(
    "wrap",
    [lambda x: [x], lambda x: (x,), lambda x: {1: x}, lambda x: {"k": x}],
    ids=["list", "tuple", "tagged dict", "dict"],
)
def test_what_is_within_the_depth_comes_back(serializer, wrap):
    value: object = 1
    for _ in range(128):
        value = wrap(value)
    assert value == serializer.loads(serializer.dumps(value))
    with pytest.raises(SerializationError, match="nested"):
        serializer.dumps(wrap(value))


def test_shared_parts_are_not_a_cycle(serializer):
    shared = [1]
    assert serializer.loads(serializer.dumps([shared, shared])) == [[1], [1]]


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[1]x", b"NaN", b"[Infinity]", b"\xff", b"[" * 100_000, b'{"$omniq":"datetime"}', b"1" * 5000],
    ids=lambda data: data[:12].decode("latin-1"),
)
def test_damaged_json_is_refused(data):
    with pytest.raises(SerializationError):
        JsonSerializer().loads(data)


def test_white_space_around_json_is_fine():
    assert JsonSerializer().loads(b" [1]\n") == [1]


@pytest.mark.parametrize(
    ("tag", "v"),
    [
        ("os.system", "true"),
        (["x"], 1),
        ({"a": 1}, 1),
        (None, 1),
        ("datetime", 5),
        ("datetime", "yesterday"),
        ("datetime", "2024-01-01T00:00:00[No/Where]"),
        ("datetime", "2024-01-01T00:00:00[../../etc/passwd]"),
        ("bytes", "***"),
        ("set", [[1]]),
        ("decimal", "x"),
        ("uuid", 7),
        ("timedelta", [1, 2, 3, 4, 5, 6, 7, 8]),
    ],
)
def test_forged_tags_are_refused(tag, v):
    data = json.dumps({"$omniq": tag, "v": v}).encode()
    with pytest.raises(SerializationError):
        JsonSerializer().loads(data)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_never_raise_anything_else(serializer, data):
    for attempt in (data, data + b"$omniq", b'{"$omniq":' + data + b"}"):
        with contextlib.suppress(SerializationError):
            serializer.loads(attempt)


def test_a_call_comes_back(serializer):
    stored = encode_call(serializer, "f", (1, (2,)), {"$omniq": 1, "b": None})
    assert decode_call(serializer, *stored) == ((1, (2,)), {"$omniq": 1, "b": None})
    assert decode_call(serializer, *encode_call(serializer, "f", (), {})) == ((), {})


@pytest.mark.parametrize(("args", "kwargs"), [(b"{}", b"{}"), (b"[]", b"[]"), (b"1", b"{}")])
def test_what_is_no_call_is_refused(args, kwargs):
    with pytest.raises(SerializationError, match="not a call"):
        decode_call(JsonSerializer(), args, kwargs)


def test_pickle_round_trip():
    serializer = PickleSerializer(KEY)
    value = {"x": collections.OrderedDict(a=decimal.Decimal(1)), 1: 1j}
    assert value == serializer.loads(serializer.dumps(value))
    assert decode_call(serializer, *encode_call(serializer, "f", (1j,), {"a": 2})) == ((1j,), {"a": 2})
    assert PickleSerializer(KEY.encode()).loads(serializer.dumps([1])) == [1]


@pytest.mark.parametrize("key", [None, "", b"", "short"], ids=repr)
def test_pickle_needs_a_key(key):
    with pytest.raises(ConfigError, match="signing_key"):
        get_serializer("pickle", signing_key=key)


def test_tampered_and_unsigned_pickles_are_not_unpickled(monkeypatch):
    serializer = PickleSerializer(KEY)
    data = serializer.dumps([1, 2])
    monkeypatch.setattr("omniq.serialization.pickle.pickle.loads", lambda _: pytest.fail("was unpickled"))
    for i in range(len(data)):
        with pytest.raises(SerializationError, match="signing_key"):
            serializer.loads(data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :])
    for forged in (b"", data[:20], data[36:], data + b"x", b"OQP1" + data[36:]):
        with pytest.raises(SerializationError):
            serializer.loads(forged)
    with pytest.raises(SerializationError):
        PickleSerializer(KEY + "x").loads(data)


def test_what_cannot_be_pickled_is_named():
    with pytest.raises(SerializationError, match=r"keyword argument 'callback' .*cannot be pickled"):
        encode_call(PickleSerializer(KEY), "f", (1,), {"callback": lambda: 1})


def test_names_and_guesses():
    registry = SerializerRegistry()
    assert registry.names() == ["json", "msgpack", "pickle"]
    assert registry.get("json").name == "json"
    with pytest.raises(ConfigError, match="Did you mean 'msgpack'"):
        registry.get("messagepack")
    with pytest.raises(ConfigError, match="signing_key"):
        registry.get("pickle")
    assert SerializerRegistry(signing_key=KEY).get("pickle").name == "pickle"
    assert KEY not in repr(vars(SerializerRegistry) | {"s": PickleSerializer(KEY)})


def test_a_serializer_of_ones_own():
    class Upper(JsonSerializer):
        name = "test-upper"

    register_serializer(Upper())
    assert isinstance(get_serializer("test-upper"), Upper)

    class Rival(JsonSerializer):
        name = "test-upper"

    with pytest.raises(ConfigError, match="belongs to"):
        register_serializer(Rival())


class TestRegisteredTypes:
    def test_plain_classes_need_a_converter(self):
        class Plain:
            pass

        with pytest.raises(ConfigError, match="converter="):
            TypeRegistry().register(Plain)

    def test_names_are_unique_and_dotted(self):
        types = TypeRegistry()
        types.register(Mood, "shop.Mood")
        types.register(Mood, "shop.Mood")
        other = enum.Enum("Other", ["A"])
        with pytest.raises(ConfigError, match="already the name"):
            types.register(other, "shop.Mood")
        with pytest.raises(ConfigError, match="dot"):
            types.register(other, "bytes")

    def test_cattrs_converters_work(self):
        import cattrs

        class Celsius:
            def __init__(self, degrees: float) -> None:
                self.degrees = degrees

        converter = cattrs.Converter()
        converter.register_unstructure_hook(Celsius, lambda value: {"degrees": value.degrees})
        converter.register_structure_hook(Celsius, lambda plain, _: Celsius(plain["degrees"]))
        types = TypeRegistry()
        types.register(Celsius, "shop.Celsius", converter=converter)
        serializer = JsonSerializer(types)
        assert serializer.dumps(Celsius(3.5)) == b'{"$omniq":"shop.Celsius","v":{"degrees":3.5}}'
        assert serializer.loads(serializer.dumps(Celsius(3.5))).degrees == 3.5

    def test_an_unknown_field_or_class_is_refused(self):
        @attrs.frozen
        class Thing:
            a: int = attrs.field(default=0, validator=attrs.validators.instance_of(int))

        types = TypeRegistry()
        types.register(Thing, "shop.Thing")
        data = JsonSerializer(types).dumps(Thing(3))
        assert Thing(3) == JsonSerializer(types).loads(data)
        assert Thing() == JsonSerializer(types).loads(b'{"$omniq":"shop.Thing","v":{}}')
        with pytest.raises(SerializationError, match="no field b"):
            JsonSerializer(types).loads(b'{"$omniq":"shop.Thing","v":{"b":1}}')
        with pytest.raises(SerializationError, match=r"'shop.Thing' cannot be decoded"):
            JsonSerializer(types).loads(b'{"$omniq":"shop.Thing","v":{"a":"x"}}')
        with pytest.raises(SerializationError, match="no type is registered"):
            JsonSerializer(TypeRegistry()).loads(data)

    def test_a_nested_class_must_be_registered_too(self, serializer):
        @attrs.frozen
        class Inner:
            a: int

        @attrs.frozen
        class Outer:
            inner: object

        types = TypeRegistry()
        types.register(Outer)
        with pytest.raises(SerializationError, match=r"value\['inner'\] is of type .*Inner"):
            type(serializer)(types).dumps(Outer(Inner(1)))
