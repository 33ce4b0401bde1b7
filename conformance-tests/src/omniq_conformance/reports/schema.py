"""Checks lines of reports against `schema.json`, which is published with the suite."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["fault_of", "schema"]

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
}


@cache
def schema() -> Mapping[str, Any]:
    """Return the JSON Schema of one line."""
    found: dict[str, Any] = json.loads(files("omniq_conformance.reports").joinpath("schema.json").read_text("utf-8"))
    return found


def fault_of(kind: str, value: object) -> str | None:
    """Tell what is wrong with a line of a kind (`header`, `item` or `footer`); None if nothing is."""
    return next(_faults(value, schema()["$defs"][kind], kind), None)


def _faults(value: object, rule: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield what is wrong, by the keywords of JSON Schema that `schema.json` uses."""
    if "$ref" in rule:
        rule = schema()["$defs"][rule["$ref"].rpartition("/")[2]]
    if "const" in rule and (value != rule["const"] or isinstance(value, bool)):
        yield f"{where} is {_shown(value)}, not {rule['const']!r}"
        return
    if "type" in rule and (not isinstance(value, _TYPES[rule["type"]]) or isinstance(value, bool)):
        yield f"{where} is {_shown(value)}, which is no {rule['type']}"
        return
    if "enum" in rule and value not in rule["enum"]:
        yield f"{where} is {_shown(value)}, which is none of {', '.join(rule['enum'])}"
    if "pattern" in rule and not re.search(rule["pattern"], str(value)):
        yield f"{where} is {_shown(value)}, which does not match {rule['pattern']}"
    if "minimum" in rule and isinstance(value, (int, float)) and value < rule["minimum"]:
        yield f"{where} is {value}, which is less than {rule['minimum']}"
    if isinstance(value, dict):
        yield from _faults_of_object(value, rule, where)
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from _faults(each, rule.get("items", {}), f"{where}[{number}]")


def _faults_of_object(value: Mapping[str, Any], rule: Mapping[str, Any], where: str) -> Iterator[str]:
    known = rule.get("properties", {})
    more = rule.get("additionalProperties", True)
    for name in rule.get("required", ()):
        if name not in value:
            yield f"{where} has no {name!r}"
    for name, each in value.items():
        if name in known:
            yield from _faults(each, known[name], f"{where}.{name}")
        elif more is False:
            yield f"{where} has {name!r}, which this format does not know: it is {_shown(each)}"
        elif more is not True:
            yield from _faults(each, more, f"{where}.{name}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - what fits into a line
