"""Keeps passwords and tokens out of whatever a person or a log may see."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

__all__ = ["REDACTED", "is_secret", "redact", "redact_text", "redacted_repr", "show"]

REDACTED = "***"
_SHOWN = 80

# Patterns are text because compiling them would cost every `import omniq` some milliseconds; `re` caches them.
_WORDS = "passw|passphrase|pwd|token|secret|key|credential|authorization"
# Greedy up to the last @, because people forget to percent-encode a password that has / or @ in it.
_USERINFO = r"(://[^\s:/?#@]*):(\S*)@"
# NATS takes a bare token where other systems have the user name.
_LONE_USER = r"\b((?:nats|tls)://)([^\s:/?#@]+)@"
_ASSIGNMENT = rf"(?i)([\w.-]*(?:{_WORDS})[\w.-]*\s*=\s*)[^\s&;#,]+"


def is_secret(name: str) -> bool:
    """Tell whether an option of this name holds a secret (password, token, secret, key, credential)."""
    return re.search(_WORDS, name, re.IGNORECASE) is not None


def redact_text(text: str) -> str:
    """Return the text with the passwords of URLs, and the values of `password=...` and its like, replaced."""
    text = re.sub(_USERINFO, rf"\1:{REDACTED}@", text)
    text = re.sub(_LONE_USER, rf"\1{REDACTED}@", text)
    return re.sub(_ASSIGNMENT, rf"\1{REDACTED}", text)


def redact(value: object, name: str = "") -> object:
    """Return the value with every secret in it replaced, at any depth; the value itself is not changed.

    Args:
        value: Anything; mappings and sequences are copied.
        name: What the value is called; a secret's name hides the whole value, unless it is None.
    """
    if is_secret(name) and value is not None:
        return REDACTED
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {key: redact(item, str(key)) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [redact(item) for item in value]
    return value


def redacted_repr(value: object) -> str:
    """Return the `repr` of the value without its secrets; for attrs fields."""
    return repr(redact(value))


def show(value: object, name: str = "") -> str:
    """Return a short, redacted `repr` of an offending value for an error message."""
    text = repr(redact(value, name))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
