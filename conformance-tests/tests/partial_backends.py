"""Backends that offer some of the roles, made from the memory backend and installed for a test."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib import import_module

from omniq.models.config import Role
from omniq.storage.backend import BackendConfig
from omniq_conformance import open_plugin
from omniq_memory.conformance import MemoryHarness

_PLUGIN = """
from omniq.models.config import Role
from omniq.storage.backend import BackendInfo
from omniq.storage.hookspecs import hookimpl
from omniq_memory import plugin as memory

ROLES = {{{roles}}}

@hookimpl
def omniq_backend_info():
    return BackendInfo(name={name!r}, distribution={name!r}, roles=ROLES, api_version=(1, 0))

for _role in ROLES:
    _hook = f"omniq_create_{{_role.key}}"
    globals()[_hook] = getattr(memory, _hook)
"""


class PartialHarness(MemoryHarness):
    def __init__(self, name, roles):
        super().__init__()
        self.backend = name
        self.roles = roles

    async def open(self, namespace):
        config = self._configs.setdefault(namespace, BackendConfig(backend_type="memory"))
        opened = await open_plugin(import_module(self.backend), config)
        assert {role for role in Role if opened.role(role) is not None} == self.roles
        return opened


@contextmanager
def partial_backend(name, roles, folder, monkeypatch):
    """Install a backend with these roles, and give its harness."""
    shown = ", ".join(f"Role.{role.name}" for role in roles)
    (folder / f"{name}.py").write_text(_PLUGIN.format(name=name, roles=shown))
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[omniq.backends]\n{name} = {name}\n")
    monkeypatch.syspath_prepend(str(folder))
    yield PartialHarness(name, set(roles))
    sys.modules.pop(name, None)
