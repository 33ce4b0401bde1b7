"""Reads configuration files."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import yaml

from omniq.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_yaml"]


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                line = key_node.start_mark.line + 1
                msg = f"line {line}: the key {key!r} is given twice. Keep one of them"
                raise ConfigError(msg)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def read_yaml(path: Path) -> object:
    """Return what a YAML file holds; an empty file holds an empty mapping.

    Raises:
        ConfigError: There is no such file, it cannot be read, or it is not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"Cannot read the configuration file {str(path)!r}: {error}. Check the path and its permissions"
        raise ConfigError(msg) from error
    try:
        content = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        msg = f"The configuration file {str(path)!r} is not YAML: {error}"
        raise ConfigError(msg) from error
    except ConfigError as error:
        msg = f"Invalid configuration {path}: {error}"
        raise ConfigError(msg) from None
    return {} if content is None else content
