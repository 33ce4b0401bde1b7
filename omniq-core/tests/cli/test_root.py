from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from omniq import errors
from omniq.cli.exits import MEANINGS, ExitCode, exit_code_of
from omniq.cli.root import COMMANDS, LazyGroup, cli
from omniq.models.environment import misspelt
from omniq.storage import plugins

ROOT = Path(__file__).parents[3]


def every_command(command=cli, path=("omniq",)):
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from every_command(command.get_command(context, name), (*path, name))


EVERY = {" ".join(path): command for path, command in every_command()}
LEAVES = {path: command for path, command in EVERY.items() if not isinstance(command, click.Group)}


@pytest.mark.parametrize("path", EVERY)
def test_every_command_has_help(invoke, path):
    text = invoke(*path.split()[1:], "--help").stdout
    assert text.startswith(f"Usage: {path} ")
    assert EVERY[path].help


def test_the_summaries_are_those_of_the_commands():
    for name, summary in COMMANDS.items():
        command = import_module(f"omniq.cli.{name}").command
        assert command.get_short_help_str(limit=200).rstrip(".") == summary.rstrip(".")


def variable(path, option):
    """The variable that the option should have: its own, or the command's name and the option's."""
    if option.envvar:
        return option.envvar
    name = max(option.opts, key=len).removeprefix("--").replace("-", "_")
    return f"{path.replace(' ', '_')}_{name}".upper()


@pytest.mark.parametrize("path", LEAVES)
def test_every_option_names_its_environment_variable(invoke, path):
    text = " ".join(invoke(*path.split()[1:], "--help").stdout.split())
    for option in LEAVES[path].params:
        if isinstance(option, click.Option) and option.name not in ("backend", "url", "base_dir"):
            assert f"env var: {variable(path, option)}" in text, option.name


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_prints_json_if_asked_to(path):
    assert "--json" in [name for option in LEAVES[path].params for name in option.opts]


def test_no_variable_of_an_option_is_taken_for_a_misspelt_setting():
    found = {
        variable(path, option): "1"
        for path, command in LEAVES.items()
        for option in command.params
        if isinstance(option, click.Option)
    }
    assert found
    assert misspelt(found) == []


def test_an_unknown_command_is_a_usage_error(invoke):
    assert "No such command 'frobnicate'" in invoke("frobnicate", code=2).stderr


def test_the_version(invoke):
    assert invoke("--version").stdout == f"omniq, version {import_module('importlib.metadata').version('omniq-core')}\n"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.ConfigError("x"), ExitCode.USAGE),
        (errors.UnknownBackendError("x"), ExitCode.USAGE),
        (errors.PluginError("x"), ExitCode.USAGE),
        (errors.SerializationError("x"), ExitCode.USAGE),
        (errors.TaskNotFoundError("x"), ExitCode.NOT_FOUND),
        (errors.ScheduleNotFoundError("x"), ExitCode.NOT_FOUND),
        (TimeoutError("x"), ExitCode.TIMEOUT),
        (errors.ConnectionLostError("x"), ExitCode.UNREACHABLE),
        (errors.OutcomeUnknownError("x"), ExitCode.UNKNOWN_OUTCOME),
        (errors.CapabilityError("x"), ExitCode.REFUSED),
        (errors.StoreFormatError("x"), ExitCode.REFUSED),
        (errors.StorageError("x"), ExitCode.FAILED),
        (errors.OmniQError("x"), ExitCode.FAILED),
    ],
)
def test_errors_are_one_message_and_an_exit_code(invoke, monkeypatch, error, expected):
    group = LazyGroup("group")

    @group.command("fail")
    def fail():
        raise error

    assert exit_code_of(error) == expected
    monkeypatch.setitem(cli.commands, "group", group)
    result = invoke("group", "fail", code=expected)
    assert (result.stdout, result.stderr) == ("", "Error: x\n")


def test_a_store_that_cannot_be_reached(invoke, folder):
    (folder / "file").touch()
    result = invoke("task", "list", "--url", "file/omniq.db", code=ExitCode.UNREACHABLE)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_two_stores_at_once_are_a_usage_error(invoke):
    assert "--app and --url both say where" in invoke("task", "list", "--app", "a:b", "--url", "x.db", code=2).stderr


def test_plugins_add_commands(invoke, monkeypatch):
    def register(group):
        @group.command("hello")
        def hello():
            """Greet."""
            click.echo("hi")

    monkeypatch.setattr(plugins, "register_commands", register)
    monkeypatch.setattr(cli, "_plugins_asked", False)
    monkeypatch.setattr(cli, "commands", dict(cli.commands))
    assert invoke("hello").stdout == "hi\n"
    assert "hello     Greet." in invoke("--help").stdout


def test_the_exit_codes_are_documented():
    text = (ROOT / "docs" / "reference" / "cli.md").read_text("utf-8")
    assert [code for code in ExitCode if f"| {code.value} | {MEANINGS[code]} |" not in text] == []


def test_the_reference_is_up_to_date():
    done = subprocess.run([sys.executable, "tools/cli_reference.py", "--check"], cwd=ROOT, check=False)
    assert done.returncode == 0, "run: python tools/cli_reference.py"


def test_importing_omniq_imports_no_command_line():
    code = "import sys, omniq; print([name for name in ('click', 'rich', 'omniq.cli') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_shell_completes(folder):
    environ = {**os.environ, "_OMNIQ_COMPLETE": "bash_complete", "COMP_WORDS": "omniq task li", "COMP_CWORD": "2"}
    code = "from omniq.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.stdout == "plain,list\n"


def test_it_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "omniq", "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: omniq [OPTIONS] COMMAND")
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)
