from __future__ import annotations

import os
import sys
import textwrap

import pytest

from omniq.errors import ConfigError, ForbiddenFunctionError, UnknownFunctionError
from omniq.queue.naming import path_of
from omniq.queue.registry import TaskDefinition, TaskRegistry, resolve_run_in


def double(x: int) -> int:
    return 2 * x


async def double_later(x: int) -> int:
    return 2 * x


class AsyncCallable:
    async def __call__(self) -> None: ...


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Return a function that writes modules which can be imported until the test ends."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(**modules: str) -> None:
        for name, text in modules.items():
            file = tmp_path.joinpath(*name.split("__")).with_suffix(".py")
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.parent != tmp_path:
                (file.parent / "__init__.py").touch()
            file.write_text(textwrap.dedent(text))

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_registered_task_is_found_by_its_name():
    registry = TaskRegistry()
    definition = TaskDefinition(name="math.double", func=double)
    registry.add(definition)
    assert registry.resolve("math.double") is definition
    assert registry.names() == ["math.double"]
    assert "math.double" in registry
    assert list(registry) == [definition]


def test_a_path_with_a_colon_finds_the_registered_task():
    registry = TaskRegistry()
    definition = TaskDefinition(name="shop.mail.send", func=double)
    registry.add(definition)
    assert registry.resolve("shop.mail:send") is definition


def test_one_name_cannot_mean_two_functions():
    registry = TaskRegistry()
    registry.add(TaskDefinition(name="same", func=double))
    with pytest.raises(ConfigError, match=r"Two functions are registered as 'same'.*@app\.task\(name="):
        registry.add(TaskDefinition(name="same", func=double_later))


def test_registering_a_function_again_replaces_it():
    registry = TaskRegistry()
    registry.add(TaskDefinition(name="same", func=double))
    again = TaskDefinition(name="same", func=double)
    registry.add(again)
    assert registry.resolve("same") is again


def test_a_function_of_an_allowed_module_is_found_without_registering(packages):
    packages(shop__jobs="def send(): return 'sent'\nclass Mail:\n    @staticmethod\n    def post(): return 'posted'")
    registry = TaskRegistry(["shop"])
    assert registry.resolve("shop.jobs.send").func() == "sent"
    assert registry.resolve("shop.jobs:Mail.post").func() == "posted"
    assert registry.resolve("shop.jobs.send") is registry.resolve("shop.jobs.send")


def test_a_task_in_an_allowed_module_brings_its_options(packages):
    packages(
        shop__jobs="""
        from omniq import AsyncOmniQ
        app = AsyncOmniQ("memory://")
        @app.task(queue="mail", max_retries=7)
        def send(): ...
        """
    )
    definition = TaskRegistry(["shop"]).resolve("shop.jobs.send")
    assert (definition.options.queue, definition.options.max_retries) == ("mail", 7)


@pytest.mark.parametrize(
    "path",
    ["os.system", "os:system", "subprocess.run", "shopping.send", "builtins.eval", "process_data", "", "a..b"],
)
def test_what_is_not_allowed_is_forbidden(path):
    with pytest.raises(ForbiddenFunctionError, match="allowed_modules"):
        TaskRegistry(["shop"]).resolve(path)


def test_a_forbidden_module_is_not_imported(packages):
    packages(bomb="raise SystemExit('imported')")
    with pytest.raises(ForbiddenFunctionError):
        TaskRegistry(["shop"]).resolve("bomb.explode")
    assert "bomb" not in sys.modules


@pytest.mark.parametrize(
    "path",
    [
        "shop.jobs.os.system",
        "shop.jobs:os.system",
        "shop.jobs.system",
        "shop.jobs.Popen",
        "shop.jobs.Shell.communicate",
        "shop.jobs.quiet",
        "shop.jobs.Own",
        "shop.jobs.NUMBER",
        "shop.jobs.send.__globals__",
        "shop.jobs.__builtins__.eval",
        "shop.jobs.send.__class__",
    ],
)
def test_walking_out_of_an_allowed_module_leads_nowhere(packages, path):
    packages(
        shop__jobs="""
        import functools, os
        from os import system
        from subprocess import Popen
        class Shell(Popen): ...
        class Own: ...
        quiet = functools.partial(system)
        NUMBER = 7
        def send(): ...
        """
    )
    with pytest.raises((ForbiddenFunctionError, UnknownFunctionError)):
        TaskRegistry(["shop"]).resolve(path)


def test_a_function_that_an_allowed_module_shows_from_another_allowed_one_is_found(packages):
    packages(shop__jobs="def send(): ...", shop__api="from shop.jobs import send")
    assert TaskRegistry(["shop"]).resolve("shop.api.send").func.__qualname__ == "send"


def test_a_function_that_is_not_there_is_unknown(packages):
    packages(shop__jobs="def send(): ...")
    registry = TaskRegistry(["shop"])
    for path in ("shop.jobs.gone", "shop.later.send", "shop.jobs:Mail.post"):
        with pytest.raises(UnknownFunctionError, match="was not found here"):
            registry.resolve(path)


def test_an_unknown_function_is_looked_for_again(packages):
    packages(shop__jobs="def send(): ...")
    registry = TaskRegistry(["shop"])
    with pytest.raises(UnknownFunctionError):
        registry.resolve("shop.jobs.late")
    sys.modules["shop.jobs"].late = sys.modules["shop.jobs"].send
    assert registry.resolve("shop.jobs.late").name == "shop.jobs.late"


@pytest.mark.parametrize("text", ["1 / 0", "import not_there_at_all", "def broken(:"])
def test_a_module_that_cannot_be_imported_is_left_for_a_version_that_works(packages, text):
    packages(shop__jobs=text)
    with pytest.raises(UnknownFunctionError, match=r"The module 'shop\.jobs' cannot be imported here"):
        TaskRegistry(["shop"]).resolve("shop.jobs.send")


def test_modules_can_be_allowed_later():
    registry = TaskRegistry()
    with pytest.raises(ForbiddenFunctionError):
        registry.resolve(path_of(double))
    registry.allow(__name__)
    assert registry.resolve(path_of(double)).func is double
    assert registry.allowed_modules == frozenset({__name__})


@pytest.mark.parametrize(
    ("func", "wanted", "mode"),
    [
        (double, "auto", "thread"),
        (double_later, "auto", "loop"),
        (AsyncCallable(), "auto", "loop"),
        (double, "process", "process"),
        (double, "loop", "loop"),
    ],
)
def test_where_a_function_runs(func, wanted, mode):
    assert resolve_run_in(func, wanted) == mode


@pytest.mark.parametrize("mode", ["thread", "process"])
def test_a_coroutine_function_runs_on_the_loop_only(mode):
    with pytest.raises(ConfigError, match="is a coroutine function"):
        resolve_run_in(double_later, mode)


def test_an_unknown_place_is_refused():
    with pytest.raises(ConfigError, match="'gpu' is not a place to run in"):
        resolve_run_in(double, "gpu")


def test_a_forged_shell_command_does_not_run(tmp_path):
    registry = TaskRegistry([__name__])
    with pytest.raises(ForbiddenFunctionError):
        registry.resolve("os.system").func(f"touch {tmp_path / 'owned'}")
    assert not (tmp_path / "owned").exists()
    assert os.system is sys.modules["os"].system
