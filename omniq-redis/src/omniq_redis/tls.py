"""Encrypted connections: the settings of a client, and what it means when a server refuses them or is refused."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from omniq.errors import ConfigError, ConnectionLostError

if TYPE_CHECKING:
    from omniq.errors import OmniQError
    from omniq_redis.options import RedisOptions

__all__ = ["ssl_context", "tls_failure", "tls_hint"]

_NAME_DIFFERS = {62, 64}  # a host name, an address
_NOT_NOW = {9, 10}  # not yet valid, expired
_NO_TLS = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNEXPECTED_MESSAGE"}


def ssl_context(options: RedisOptions) -> ssl.SSLContext:
    """Return the settings for a new connection; the files are read each time, since certificates are renewed.

    Raises:
        ConfigError: A file cannot be read, or has no certificates or keys.
    """
    for name, path in (("tls_ca", options.tls_ca), ("tls_cert", options.tls_cert), ("tls_key", options.tls_key)):
        if path is not None and not path.is_file():
            raise ConfigError(f"{name}: there is no file {path}.")
    try:
        context = ssl.create_default_context(cafile=options.tls_ca)
    except OSError as error:  # of which SSLError is one
        raise ConfigError(f"tls_ca: {options.tls_ca} has no certificates in PEM format: {error}.") from error
    if not options.tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.tls_cert is not None:
        key = options.tls_key or options.tls_cert
        try:
            context.load_cert_chain(options.tls_cert, key)
        except OSError as error:
            raise ConfigError(
                f"tls_cert, tls_key: {options.tls_cert} and {key} are no certificate with its key: {error}."
            ) from error
    return context


def tls_failure(error: BaseException, where: str) -> OmniQError | None:
    """Return what the TLS error behind a driver's one means; None if there is none."""
    found = _ssl_error(error)
    if found is None:
        return None
    if isinstance(found, ssl.SSLCertVerificationError):
        return _not_verified(found, where)
    if found.reason in _NO_TLS:
        return ConfigError(f"The server at {where} does not speak TLS on this port. Use redis:// or another port.")
    if found.reason and "ALERT" in found.reason:
        return ConfigError(
            f"The server at {where} refuses TLS with this client: {found.reason}. "
            "Check that tls_cert and tls_key are of an authority that it trusts."
        )
    return ConnectionLostError(f"TLS with the server at {where} failed: {found}. Nothing was changed; try again.")


def _not_verified(error: ssl.SSLCertVerificationError, where: str) -> OmniQError:
    told = f"The certificate of the server at {where} is refused: {error.verify_message}".rstrip(".")
    if error.verify_code in _NOT_NOW:
        return ConnectionLostError(f"{told}. Renew it, or set the clock. Nothing was changed.")
    if error.verify_code in _NAME_DIFFERS:
        return ConfigError(f"{told}. Use a name that it has, or give the server one that has this name.")
    return ConfigError(f"{told}. Set tls_ca to the file with the authority that signed it.")


def _ssl_error(error: BaseException | None) -> ssl.SSLError | None:
    """Find it: the driver raises its own error while it handles this one."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


def tls_hint(*, is_tls: bool) -> str:
    """Return what may be wrong when a server took the connection and then said nothing that makes sense."""
    if is_tls:
        return "Does it speak TLS on this port, and does it want a certificate of the client (tls_cert, tls_key)?"
    return "If it speaks TLS on this port, use rediss://."
