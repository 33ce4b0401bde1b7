from __future__ import annotations

import sys
import warnings

import pytest

from omniq.errors import PluginError, UnknownBackendError
from omniq.models.config import Role
from omniq.storage import plugins
from omniq.storage.backend import BackendConfig
from omniq.storage.plugins import (
    create_storage,
    foreign_omniq,
    list_backends,
    load_backend,
    load_plugins,
    register_commands,
)

HOOK = "from omniq.storage.hookspecs import hookimpl\n"


def text_of(error):
    return str(error.value).splitlines()


def loaded(name):
    """Load a backend whatever roles it has."""
    return plugins._load(plugins._entry_points(plugins.BACKEND_GROUP, name))


def test_only_the_named_plugin_is_imported(install):
    install.backend("one")
    install.backend("two")
    backend = load_backend("one")
    assert (backend.name, backend.info.distribution, backend.info.roles) == ("one", "omniq-one", frozenset(Role))
    assert "plugin_one" in sys.modules
    assert "plugin_two" not in sys.modules


def test_a_creation_hook_is_asked_of_the_named_plugin_only(install):
    install.backend("one")
    install.backend("two")
    load_backend("one")
    config = BackendConfig(backend_type="two")
    storage = create_storage(load_backend("two"), Role.EVENT_STORAGE, config)
    assert (type(storage).__module__, storage.role, storage.config) == ("plugin_two", "event storage", config)


@pytest.mark.parametrize("role", list(Role))
def test_an_unknown_backend(install, role):
    install.backend("sqlite")
    install.backend("part", roles="{Role.TASK_QUEUE, Role.EVENT_STORAGE}")
    with pytest.raises(UnknownBackendError) as caught:
        load_backend("redis", role)
    assert isinstance(caught.value, ValueError)
    lines = text_of(caught)
    assert lines[0] == f"Unsupported {role.value} backend: redis"
    assert lines[1] == "It is not installed. Install it with: pip install 'omniq[redis]'"
    assert lines[2].startswith("Installed: part (")
    assert {"task queue", "event storage"} == set(lines[2].split("(")[1].split(")")[0].split(", "))
    assert lines[2].endswith("), sqlite (all roles).")


@pytest.mark.parametrize(
    ("name", "second"),
    [
        ("nats", "It is not installed. Install it with: pip install 'omniq[nats]'"),
        ("postgres", "It is not installed. Install it with: pip install 'omniq[postgres]'"),
        ("sqlite", "It is not installed. Install it with: pip install omniq-sqlite"),
        ("SQLite", "No installed backend and no first-party backend has this name. Did you mean 'sqlite'?"),
        ("postgresql", "No installed backend and no first-party backend has this name. Did you mean 'postgres'?"),
        ("kafka", "No installed backend and no first-party backend has this name."),
    ],
)
def test_what_helps_against_an_unknown_backend(install, name, second):
    with pytest.raises(UnknownBackendError) as caught:
        load_backend(name)
    assert text_of(caught) == [f"Unsupported task queue backend: {name}", second, "No backend is installed."]


def test_a_role_that_is_not_offered(install):
    install.backend("part", roles="{Role.TASK_QUEUE}")
    with pytest.raises(UnknownBackendError) as caught:
        load_backend("part", Role.RESULT_STORAGE)
    assert text_of(caught) == [
        "Unsupported result storage backend: part",
        "omniq-part offers task queue only. Choose another backend with OMNIQ_RESULT_STORAGE_TYPE or in code.",
        "Installed: part (task queue).",
    ]


def test_a_disabled_backend(install, monkeypatch):
    install.backend("one")
    monkeypatch.setenv("OMNIQ_DISABLED_PLUGINS", "other, one")
    with pytest.raises(UnknownBackendError) as caught:
        load_backend("one")
    assert text_of(caught) == [
        "Unsupported task queue backend: one",
        "It is installed, but OMNIQ_DISABLED_PLUGINS names it. Remove 'one' from that variable.",
        "Installed: one (disabled).",
    ]
    assert "plugin_one" not in sys.modules


def test_what_is_installed_while_running_is_found(install):
    install.backend("one")
    load_backend("one")
    with pytest.raises(UnknownBackendError):
        load_backend("two")
    install.backend("two")
    assert load_backend("two").name == "two"


def test_a_missing_driver_is_named(install):
    install.plugin("redis", "import redis_driver_that_is_not_there\n")
    with pytest.raises(PluginError) as caught:
        load_backend("redis")
    assert str(caught.value) == (
        "The redis backend (omniq-redis) is installed but cannot be imported: the module "
        "'redis_driver_that_is_not_there' is not installed. pip install --upgrade 'omniq[redis]'"
    )


def test_a_driver_that_is_missing_when_the_storage_is_made_is_named(install):
    more = "@hookimpl\ndef omniq_create_task_queue(config):\n    import no_such_driver\n"
    install.backend("mine", roles="{Role.TASK_QUEUE}", more=more)
    with pytest.raises(PluginError, match="the module 'no_such_driver' is not installed"):
        create_storage(load_backend("mine"), Role.TASK_QUEUE, BackendConfig(backend_type="mine"))


def test_a_hook_that_returns_nothing(install):
    more = "@hookimpl\ndef omniq_create_task_queue(config):\n    return None\n"
    install.backend("mine", roles="{Role.TASK_QUEUE}", more=more)
    with pytest.raises(PluginError, match="returned nothing from omniq_create_task_queue"):
        create_storage(load_backend("mine"), Role.TASK_QUEUE, BackendConfig(backend_type="mine"))


@pytest.mark.parametrize(("api", "command"), [((2, 0), "omniq-core"), ((0, 9), "omniq-one")])
def test_another_major_version_of_the_api_is_refused(install, api, command):
    install.backend("one", api=api, version="3.1")
    with pytest.raises(PluginError) as caught:
        load_backend("one")
    assert str(caught.value) == (
        f"omniq-one 3.1 speaks version {api[0]}.{api[1]} of the backend API, and this omniq-core speaks 1.0. "
        f"Bring them together: pip install --upgrade {command}"
    )


def test_a_newer_minor_version_warns_and_works_with_hooks_that_are_not_known_here(install):
    install.backend("one", api=(1, 7), roles="set()", more="@hookimpl\ndef omniq_of_the_future():\n    pass\n")
    with pytest.warns(RuntimeWarning, match=r"speaks version 1\.7 of the backend API, and this omniq-core speaks 1\.0"):
        assert loaded("one").name == "one"


def test_a_misspelt_hook_is_refused(install):
    install.backend("one", roles="set()", more="@hookimpl\ndef omniq_create_taskqueue(config):\n    pass\n")
    with pytest.raises(PluginError, match="omniq_create_taskqueue"):
        load_backend("one")


def test_a_role_without_its_hook_is_refused(install):
    install.backend("one", roles="{Role.TASK_QUEUE}", more="")
    with pytest.raises(PluginError, match="declares roles without their hooks: omniq_create_task_queue"):
        load_backend("one")


def test_a_plugin_that_is_no_backend_is_refused(install):
    install.plugin("one", "x = 1\n")
    with pytest.raises(PluginError, match="has no omniq_backend_info hook that returns a BackendInfo; it gave None"):
        load_backend("one")


def test_a_plugin_that_fails_is_refused(install):
    install.plugin("one", "1 / 0\n")
    with pytest.raises(PluginError, match=r"'one' \(omniq-one 1\.0\) fails when it is imported: ZeroDivisionError"):
        load_backend("one")


def test_two_distributions_with_one_name_are_refused(install):
    install.backend("one", distribution="a-one")
    install.backend("one", distribution="b-one")
    with pytest.raises(PluginError, match=r"named 'one': a-one 1\.0, b-one 1\.0\. Uninstall all but one"):
        load_backend("one")


def test_the_list_has_broken_and_disabled_ones(install, monkeypatch):
    install.backend("good", roles="{Role.TASK_QUEUE, Role.SCHEDULE_STORAGE}", version="2.0")
    install.backend("off")
    install.plugin("bad", "import no_such_driver\n")
    monkeypatch.setenv("OMNIQ_DISABLED_PLUGINS", "off")
    bad, good, off = list_backends()
    assert (good.name, good.distribution, good.version, good.roles, good.problem) == (
        "good",
        "omniq-good",
        "2.0",
        (Role.TASK_QUEUE, Role.SCHEDULE_STORAGE),
        "",
    )
    assert (bad.name, bad.roles, bad.info, "no_such_driver" in bad.problem) == ("bad", (), None, True)
    assert (off.name, off.disabled, off.info, off.problem) == ("off", True, None, "")


def test_a_foreign_omniq_is_reported(install):
    install.backend("one")
    install.distribution("omniq", "9.9", requires=["attrs"])
    found = foreign_omniq()
    assert found is not None
    assert found.startswith("Another package named 'omniq' (9.9) is installed")
    with pytest.raises(UnknownBackendError) as caught:
        load_backend("redis")
    assert text_of(caught)[-1] == found
    with pytest.warns(RuntimeWarning, match="Another package named 'omniq'"):
        load_backend("one")


def test_our_own_omniq_is_not_foreign(install):
    install.distribution("omniq", "9.9", requires=["omniq_core==9.9"])
    assert foreign_omniq() is None


def test_shared_hooks_are_asked_of_all_plugins(install, monkeypatch):
    for name in ("first", "second", "third"):
        code = HOOK + f"@hookimpl\ndef omniq_on_event(event):\n    return {name!r}, event\n"
        install.plugin(name, code, group="omniq.plugins")
    code = HOOK + "@hookimpl\ndef omniq_on_event(event):\n    return 'backend', event\n"
    install.backend("one", roles="set()", more=code)
    monkeypatch.setenv("OMNIQ_DISABLED_PLUGINS", "third")
    manager = load_plugins([loaded("one")])
    assert sorted(manager.hook.omniq_on_event(event=1)) == [("backend", 1), ("first", 1), ("second", 1)]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 / 0", "ZeroDivisionError"),
        (HOOK + "@hookimpl\ndef omniq_on_evnt(event):\n    pass\n", "omniq_on_evnt"),
        (HOOK + "@hookimpl\ndef omniq_on_event(evnt):\n    pass\n", "evnt"),
    ],
)
def test_a_broken_plugin_is_named_with_the_remedy(install, code, message):
    install.plugin("spam", code, group="omniq.plugins")
    with pytest.raises(PluginError) as caught:
        load_plugins()
    assert str(caught.value).startswith("Cannot load the plugin 'spam' (omniq-spam 1.0): ")
    assert message in str(caught.value)
    assert str(caught.value).endswith("set OMNIQ_DISABLED_PLUGINS=spam")


def test_commands_are_registered_in_spite_of_a_broken_plugin(install):
    command = HOOK + "@hookimpl\ndef omniq_register_commands(cli):\n    cli.append(__name__)\n"
    install.backend("one", roles="set()", more=command)
    install.plugin("good", command, group="omniq.plugins", distribution="good")
    install.plugin("bad", "1 / 0\n", group="omniq.plugins", distribution="bad")
    cli: list[str] = []
    with pytest.warns(RuntimeWarning, match="Cannot load the plugin 'bad'"):
        register_commands(cli)
    assert sorted(cli) == ["plugin_good", "plugin_one"]


def test_loading_warns_of_nothing_in_a_sound_environment(install):
    install.backend("one")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_backend("one").name == "one"
