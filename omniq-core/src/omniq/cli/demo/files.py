"""Which files the demo works on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

import omniq
from omniq.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Selection", "default_path", "is_text", "select"]

_PASSED_OVER = frozenset({"__pycache__", "node_modules", "site-packages"})
_SAMPLE = 8192
_MOST_BYTES = 64 * 1024 * 1024


@attrs.frozen(kw_only=True)
class Selection:
    """The files that were found.

    Attributes:
        root: The folder they are in.
        files: Their paths, sorted.
        total: How many there are in all; more than `files` if a limit left some out.
        states: Size and time of change of each of them when it was found.
    """

    root: Path
    files: tuple[Path, ...]
    total: int
    states: dict[Path, tuple[int, int]]

    def folders(self) -> dict[Path, list[Path]]:
        """Return the files by the folder that they lie in."""
        found: dict[Path, list[Path]] = {}
        for file in self.files:
            found.setdefault(file.parent, []).append(file)
        return found

    def changed(self, path: Path) -> bool:
        """Tell whether somebody changed or removed a file, or one of a folder, since it was found."""
        concerned = [path] if path in self.states else [file for file in self.files if file.parent == path]
        return any(_state(file) != self.states[file] for file in concerned)

    def name(self, path: Path) -> str:
        """Return a path as it is shown: relative to the root."""
        return path.relative_to(self.root).as_posix()


def default_path() -> Path:
    """Return the documentation of the checkout that this runs from, or else the installed package's own files."""
    package = Path(omniq.__file__).resolve().parent
    checkout = package.parents[2]
    docs = checkout / "docs"
    return docs if docs.is_dir() and (checkout / "omniq-core").is_dir() else package


def select(path: Path, limit: int) -> Selection:
    """Return files at or under the path, at most `limit` and 64 MiB; hidden ones and caches are passed over.

    Raises:
        ConfigError: There is no such path, or no file in it.
    """
    root = path.expanduser().resolve()
    if not root.exists():
        raise ConfigError(f"PATH: {str(path)!r} does not exist. Give a folder with some files, or leave it out")
    files = [root] if root.is_file() else sorted(_walk(root))
    if not files:
        raise ConfigError(f"PATH: there is no readable file under {str(path)!r}. Give a folder with some files")
    states: dict[Path, tuple[int, int]] = {}
    left = _MOST_BYTES
    for file in files:
        state = _state(file)
        if state is not None and state[0] <= left and len(states) < limit:
            states[file] = state
            left -= state[0]
    if not states:
        raise ConfigError(
            f"PATH: every file under {str(path)!r} is larger than 64 MiB. Give a folder with smaller ones"
        )
    return Selection(root=root.parent if root.is_file() else root, files=tuple(states), total=len(files), states=states)


def _state(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _walk(root: Path) -> Iterator[Path]:
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if not name.startswith(".") and name not in _PASSED_OVER]
        for name in names:
            file = Path(folder, name)
            if not name.startswith(".") and file.is_file() and os.access(file, os.R_OK):
                yield file


def is_text(path: Path) -> bool:
    """Tell whether a file looks like UTF-8 text, by its beginning."""
    with path.open("rb") as file:
        sample = file.read(_SAMPLE)
    if b"\0" in sample:
        return False
    try:
        sample.decode("utf-8")
    except UnicodeDecodeError as error:
        # The sample may end inside a character.
        return error.start > len(sample) - 4 and len(sample) == _SAMPLE
    return True
