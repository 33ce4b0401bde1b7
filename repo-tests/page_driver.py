"""Runs the steps of one documentation page in this process's working directory; started by test_docs.py.

`python page_driver.py STEPS RESULTS`: STEPS is a JSON list of [kind, text, name], and RESULTS gets one JSON line for
every step that was done: what it printed, or how it failed.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import json
import os
import signal
import subprocess
import sys
import traceback
import types
from pathlib import Path

MODULE = "page"
PATIENCE_S = 40


class Page:
    """What the steps of a page share: a module, an event loop, and the commands in the background."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._module = types.ModuleType(MODULE)
        sys.modules[MODULE] = self._module
        self._background: list[subprocess.Popen[str]] = []

    def do(self, kind: str, text: str, name: str) -> str:
        """Do one step and return what it printed."""
        match kind:
            case "file":
                path = Path(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, "utf-8")
                return ""
            case "python":
                return self._run(text, name)
            case "raises":
                return self._run_until(text, name)
            case "console":
                return _shell(text)
            case "background":
                self._background.append(_start(text))
                return ""
            case "end":
                return self._end()
        raise ValueError(kind)

    def _run(self, text: str, name: str) -> str:
        printed = io.StringIO()
        code = compile(text, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        with contextlib.redirect_stdout(printed):
            outcome = eval(code, self._module.__dict__)
            if inspect.iscoroutine(outcome):
                self._runner.run(outcome)
        return printed.getvalue()

    def _run_until(self, text: str, error_name: str) -> str:
        try:
            self._run(text, MODULE)
        except Exception as error:
            if type(error).__name__ != error_name:
                raise
            return f"{error_name}: {error}"
        msg = f"the block raises no {error_name}"
        raise AssertionError(msg)

    def _end(self) -> str:
        """Stop the first background command as Ctrl-C does, and return what it printed."""
        process = self._background.pop(0)
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=PATIENCE_S)
        return _checked(process.returncode, process.args, printed)

    def close(self) -> None:
        """Kill what a failed page left running."""
        for process in self._background:
            process.kill()
            process.communicate()


def _start(command: str) -> subprocess.Popen[str]:
    # exec, so that the signal reaches the command and not the shell around it
    return subprocess.Popen(
        ["bash", "-c", f"exec {command}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def _shell(command: str) -> str:
    done = subprocess.run(
        ["bash", "-c", command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return _checked(done.returncode, command, done.stdout)


def _checked(code: int, command: object, printed: str) -> str:
    if code != 0:
        msg = f"{command} ended with {code} and printed:\n{printed}"
        raise AssertionError(msg)
    return printed


def main() -> None:
    """Do the steps until one fails."""
    steps = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    sys.path.insert(0, str(Path.cwd()))
    with Path(sys.argv[2]).open("w", encoding="utf-8") as results, asyncio.Runner() as runner:
        page = Page(runner)
        try:
            for kind, text, name in steps:
                try:
                    answer = {"printed": page.do(kind, text, name)}
                except Exception:  # noqa: BLE001 - reported as the test's failure
                    answer = {"failed": traceback.format_exc()}
                results.write(f"{json.dumps(answer)}\n")
                results.flush()
                if "failed" in answer:
                    page.close()
                    os._exit(1)  # whatever the failed block has left open
        finally:
            page.close()


if __name__ == "__main__":
    main()
