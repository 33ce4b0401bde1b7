from __future__ import annotations

import functools
import importlib
import sys
import textwrap

import pytest

from omniq.storage import plugins

PLUGIN = """
    from __future__ import annotations
    from omniq.models.config import Role
    from omniq.storage.backend import BackendInfo
    from omniq.storage.hookspecs import hookimpl

    @hookimpl
    def omniq_backend_info():
        return BackendInfo(
            name={name!r},
            distribution={distribution!r},
            roles=frozenset({roles}),
            api_version={api},
            default_url={url!r},
        )
"""

CREATES = """
    class Fake:
        def __init__(self, role, config):
            self.role, self.config, self.calls = role, config, config.share("calls", list)
            self.peers = config.share("peers", list)
            self.peers.append(role)

    @hookimpl
    def omniq_create_task_queue(config):
        return Fake("task queue", config)

    @hookimpl
    def omniq_create_result_storage(config):
        return Fake("result storage", config)

    @hookimpl
    def omniq_create_event_storage(config):
        return Fake("event storage", config)

    @hookimpl
    def omniq_create_schedule_storage(config):
        return Fake("schedule storage", config)
"""


class Installer:
    """Installs distributions with entry points into a folder on sys.path, as pip would."""

    def __init__(self, folder):
        self.folder = folder
        self.modules = set()

    def distribution(self, name, version="1.0", *, entry_points="", requires=()):
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        (info / "entry_points.txt").write_text(entry_points)
        importlib.invalidate_caches()

    def module(self, name, code):
        self.modules.add(name)
        (self.folder / f"{name}.py").write_text(textwrap.dedent(code))

    def plugin(self, name, code, *, group="omniq.backends", distribution=None, version="1.0"):
        module = f"plugin_{(distribution or name).replace('-', '_')}"
        self.module(module, code)
        self.distribution(distribution or f"omniq-{name}", version, entry_points=f"[{group}]\n{name} = {module}\n")

    def backend(self, name, *, roles="Role", api=(1, 0), url=None, more=CREATES, **options):
        distribution = options.get("distribution") or f"omniq-{name}"
        code = PLUGIN.format(name=name, distribution=distribution, roles=roles, api=api, url=url)
        self.plugin(name, textwrap.dedent(code) + textwrap.dedent(more), **options)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Where a test installs its plugins; those of the real environment are not seen."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.delenv("OMNIQ_DISABLED_PLUGINS", raising=False)
    monkeypatch.syspath_prepend(str(folder))
    scan = plugins._scan.__wrapped__

    @functools.cache
    def scan_folder(group, path):
        return tuple(entry for entry in scan(group, path) if entry.dist.locate_file("").resolve() == folder.resolve())

    monkeypatch.setattr(plugins, "_scan", scan_folder)
    plugins._warn_of_foreign_omniq.cache_clear()
    plugins._load.cache_clear()
    installer = Installer(folder)
    yield installer
    for name in installer.modules:
        sys.modules.pop(name, None)
    plugins._warn_of_foreign_omniq.cache_clear()
    plugins._load.cache_clear()
