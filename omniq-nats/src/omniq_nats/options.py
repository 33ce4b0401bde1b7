"""The options of the NATS backend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import attrs

from omniq.errors import ConfigError
from omniq.storage.options import LOCATOR, parse_options

if TYPE_CHECKING:
    from omniq.storage.backend import BackendConfig

__all__ = ["NatsOptions"]

_SCHEMES = {"nats": None, "tls": True}
_MAX_REPLICAS = 5
_STORAGES = ("file", "memory")


@attrs.frozen(kw_only=True)
class NatsOptions:
    """What may stand in the `config` of a NATS backend.

    Attributes:
        servers: Where the servers of the cluster are, as `nats://host:port` or `tls://host:port`; any of them will do.
        user: The login, with `password`.
        password: Of the user.
        token: The login, if the server asks for a token.
        nkey: The file with an nkey's seed.
        credentials: The file with a JWT and its nkey, as `nsc` makes them (`.creds`).
        tls: Encrypt; `tls://` does so too.
        tls_ca: Certificates of the authorities to trust, instead of the system's.
        tls_cert: The client's own certificate, and those between it and its authority.
        tls_key: Its key; None if that is in the same file.
        tls_verify: Check the server's certificate and name.
        tls_first: The handshake comes first, before the server's greeting.
        namespace: Streams and subjects begin with it, so that several applications share a server.
        replicas: On how many servers of a cluster each stream is kept: 1, 3 or 5.
        storage: `file` or `memory`: where servers keep the streams.
        sync_always: The servers are known to have `sync_interval: always`, which clients cannot see: declare that what
            was acknowledged survives a crash of the operating system.
        partitions: Only 1: the order of claims is exact over the whole queue.
        monitoring: The url of a server's monitoring port, such as `http://localhost:8222`, for `omniq doctor`.
        inbox_prefix: The subjects on which this client may receive answers.
        connect_timeout: Seconds for a connection to be made.
        request_timeout: Seconds for a request to be answered.
    """

    servers: tuple[str, ...] = attrs.field(default=("nats://localhost:4222",), metadata=LOCATOR)
    user: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    token: str | None = attrs.field(default=None, repr=False)
    nkey: Path | None = None
    credentials: Path | None = None
    tls: bool = False
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_verify: bool = True
    tls_first: bool = False
    namespace: str = "omniq"
    replicas: int = attrs.field(default=1, validator=[attrs.validators.ge(1), attrs.validators.le(_MAX_REPLICAS)])
    storage: str = attrs.field(default="file", validator=attrs.validators.in_(_STORAGES))
    sync_always: bool = False
    partitions: int = 1
    monitoring: str | None = None
    inbox_prefix: str = "_INBOX"
    connect_timeout: float = attrs.field(default=5.0, validator=attrs.validators.gt(0))
    request_timeout: float = attrs.field(default=5.0, validator=attrs.validators.gt(0))

    def __attrs_post_init__(self) -> None:
        if not self.servers:
            raise ConfigError("servers: there is none. Give at least one, such as 'nats://localhost:4222'.")
        for server in self.servers:
            _checked(server)
        logins = [name for name in ("user", "token", "nkey", "credentials") if getattr(self, name) is not None]
        if len(logins) > 1:
            raise ConfigError(f"{' and '.join(logins)}: a client logs in in one way. Give one of them.")
        if (self.user is None) != (self.password is None):
            raise ConfigError("user and password: one is of no use without the other. Give both.")
        if self.tls_key is not None and self.tls_cert is None:
            raise ConfigError("tls_key: a key is of no use without its certificate. Give tls_cert, too.")
        if self.partitions != 1:
            raise ConfigError(
                f"partitions: {self.partitions} is not supported; the order of claims is exact over the whole queue. "
                "Leave it out; use several queues to spread the load."
            )

    @classmethod
    def read(cls, config: BackendConfig) -> NatsOptions:
        """Read what a creation hook received.

        Raises:
            ConfigError: An option is unknown or invalid, or the url is not one of NATS.
        """
        return parse_options(cls, config, split_url=_split)

    @property
    def encrypts(self) -> bool:
        """Whether connections have to be encrypted."""
        asked = (self.tls, self.tls_first, self.tls_ca, self.tls_cert)
        return any(asked) or any(server.startswith("tls:") for server in self.servers)

    @property
    def where(self) -> str:
        """The addresses in messages, without logins."""
        return ", ".join(server.rpartition("@")[2].rpartition("//")[2] for server in self.servers)


def _checked(server: str) -> None:
    parts = urlsplit(server)
    if parts.scheme not in _SCHEMES or not parts.hostname or parts.port == 0:
        raise ConfigError(f"servers: {parts.hostname or 'an entry'!r} is no address. Write 'nats://localhost:4222'.")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigError("servers: an address ends with its port. Give options in config={...} instead.")
    if parts.username is not None:
        raise ConfigError("servers: a login in an address is not taken. Give user and password, or token.")


def _split(url: str) -> dict[str, object]:
    """Return what one url, or several with commas between them, have."""
    servers, logins, encrypted = [], set(), False
    for each in url.split(","):
        parts = urlsplit(each.strip())
        if parts.scheme not in _SCHEMES:
            raise ConfigError("url: it does not start with nats:// or tls:// (TLS). Write nats://localhost:4222")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ConfigError("url: it has more than servers. Give options in config={...} instead")
        host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
        servers.append(f"{parts.scheme}://{host or 'localhost'}:{parts.port or 4222}")
        encrypted = encrypted or bool(_SCHEMES[parts.scheme])
        if parts.username is not None:
            logins.add((unquote(parts.username), None if parts.password is None else unquote(parts.password)))
    if len(logins) > 1:
        raise ConfigError("url: its servers have different logins. Give user and password in config={...} instead")
    found: dict[str, object] = {"servers": tuple(servers), "tls": encrypted or None}
    if logins:
        ((user, password),) = logins
        found |= {"token": user} if password is None else {"user": user, "password": password}
    return found
