"""How the conformance suite opens this backend; needs omniq-conformance."""

from __future__ import annotations

from typing import Any, ClassVar

import redis

from omniq.storage.backend import BackendConfig
from omniq_conformance import Harness, OpenedStores, open_plugin
from omniq_redis import plugin
from omniq_redis.connection import namespace_of

__all__ = ["RedisHarness", "ValkeyHarness"]


class ValkeyHarness(Harness):
    """A namespace is a key prefix."""

    backend = "redis"
    server_kind = "valkey"
    server_options: ClassVar[dict[str, Any]] = {"appendfsync": "always"}

    async def open(self, namespace: str) -> OpenedStores:
        """Return a handle on the keys of the namespace."""
        options = {"key_prefix": namespace}
        return await open_plugin(plugin, BackendConfig(backend_type="redis", url=self.url, options=options))

    async def destroy(self, namespace: str) -> None:
        """Remove its keys."""
        with redis.Redis.from_url(self.url or "") as client:
            pattern = namespace_of(namespace, "omniq") + b"*"
            keys = list(client.scan_iter(pattern, 1000))
            if keys:
                client.unlink(*keys)


class RedisHarness(ValkeyHarness):
    """The same on Redis."""

    server_kind = "redis"
