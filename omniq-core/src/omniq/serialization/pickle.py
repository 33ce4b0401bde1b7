"""The opt-in serializer for arbitrary Python objects: pickle, signed.

Whoever can write to the store can run code in a process that unpickles from it, so the bytes are only unpickled after
their HMAC-SHA256 (RFC 2104) was verified with a key that the store does not have.
"""

from __future__ import annotations

import pickle

from omniq.errors import ConfigError, SerializationError
from omniq.serialization.refusal import type_name
from omniq.serialization.serializer import Serializer

__all__ = ["PickleSerializer"]

_MAGIC = b"OQP1"
_DIGEST_SIZE = 32
_SHORTEST_KEY = 16


class PickleSerializer(Serializer):
    """Encodes with pickle and signs the bytes.

    The layout is `OQP1`, 32 bytes of HMAC-SHA256 over `OQP1` and the pickle, and the pickle.

    Args:
        signing_key: A secret of at least 16 bytes, the same for all producers and workers. Text is taken as UTF-8.

    Raises:
        ConfigError: There is no key, or it is too short.
    """

    name = "pickle"

    def __init__(self, signing_key: str | bytes | None) -> None:
        if not signing_key:
            msg = (
                "the pickle serializer needs a signing key: set signing_key in the configuration (or the environment "
                "variable OMNIQ_SIGNING_KEY) to the same secret of at least 16 bytes for producers and workers, "
                "for example the output of: python -c 'import secrets; print(secrets.token_hex(32))'"
            )
            raise ConfigError(msg)
        key = signing_key.encode() if isinstance(signing_key, str) else bytes(signing_key)
        if len(key) < _SHORTEST_KEY:
            msg = f"signing_key is too short: {len(key)} bytes, but at least {_SHORTEST_KEY} are needed."
            raise ConfigError(msg)
        self._key = key

    def dumps(self, value: object) -> bytes:
        """Pickle and sign a value."""
        try:
            payload = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # pickling runs the code of the value's classes
            msg = (
                f"a value of type {type_name(type(value))} cannot be pickled: {type(error).__name__}: {error}. "
                "Pass plain data, or the id of something stored elsewhere."
            )
            raise SerializationError(msg) from error
        return _MAGIC + self._sign(payload) + payload

    def loads(self, data: bytes) -> object:
        """Verify the signature, then unpickle."""
        from hmac import compare_digest

        data = bytes(data)
        start = len(_MAGIC) + _DIGEST_SIZE
        payload = data[start:]
        if not data.startswith(_MAGIC) or not compare_digest(data[len(_MAGIC) : start], self._sign(payload)):
            msg = (
                "the pickled data is not signed with this process's signing_key, so it was not unpickled. Producers "
                "and workers must share one key; if they do, the data was changed in the store."
            )
            raise SerializationError(msg)
        try:
            return pickle.loads(payload)  # noqa: S301 - the signature was verified above
        except Exception as error:
            msg = f"the pickled data cannot be restored here: {type(error).__name__}: {error}"
            raise SerializationError(msg) from error

    def _sign(self, payload: bytes) -> bytes:
        from hmac import digest

        return digest(self._key, _MAGIC + payload, "sha256")
