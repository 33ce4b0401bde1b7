"""Give every distribution of the repository, and every pin between them, one new version.

Usage: python tools/bump.py 0.2.0
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path

_VERSION = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")
_OWN_VERSION = re.compile(r'^(version = ")[^"]+(")', re.MULTILINE)


def manifests(root: Path) -> list[Path]:
    """List the pyproject files of the repository at `root`, the root's own first."""
    path = root / "pyproject.toml"
    members = tomllib.loads(path.read_text("utf-8"))["tool"]["uv"]["workspace"]["members"]
    return [path, *(root / member / "pyproject.toml" for member in members)]


def bump(root: Path, version: str) -> list[Path]:
    """Write `version` into every manifest below `root` and return the manifests that changed."""
    if not _VERSION.fullmatch(version):
        message = f"not a version like 1.2.3 or 1.2.3rc1: {version!r}"
        raise ValueError(message)
    texts = {path: path.read_text("utf-8") for path in manifests(root)}
    names = [tomllib.loads(text)["project"]["name"] for text in texts.values()]
    alternatives = "|".join(map(re.escape, names))
    pin = re.compile(rf'("(?:{alternatives})(?:\[[^\]]*\])?(?:==|~=))[^"; ]+')
    changed = []
    for path, text in texts.items():
        new = _OWN_VERSION.sub(rf"\g<1>{version}\g<2>", text, count=1)
        new = pin.sub(rf"\g<1>{version}", new)
        if new != text:
            path.write_text(new, "utf-8")
            changed.append(path)
    return changed


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("version", help="the new version, such as 0.2.0")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1])
    args = parser.parse_args()
    try:
        changed = bump(args.root, args.version)
    except ValueError as error:
        sys.exit(f"bump: {error}")
    for path in changed:
        print(path.relative_to(args.root))


if __name__ == "__main__":
    main()
