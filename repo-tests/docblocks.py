"""Finds the code blocks of Markdown pages, and compares what they print with what the page says.

A comment directly before a block says what is done with it::

    <!-- file: tasks.py -->        the block is written to this file
    <!-- prints -->                the block is what the block before it prints
    <!-- background -->            the console command runs until the page ends
    <!-- not run: why -->          the block is not executed, for this reason

Python blocks without a comment run one after the other in one module, console blocks in a shell, both in the page's own
temporary folder. In expected output `...` stands for any text. What is another one at every run (moments, durations,
ids of tasks, names of workers) is compared by its kind only, and runs of spaces, which align columns, as one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Block", "Command", "blocks_of", "commands_of", "links_of", "matches"]

_FENCE = re.compile(r"(?P<ticks>`{3,})(?P<language>[\w+-]*)\s*")
_COMMENT = re.compile(r"<!--\s*(?P<mark>.*?)\s*-->")
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d([.,]\d+)?([+-]\d\d:\d\d|Z)?"), "<moment>"),
    (re.compile(r"task-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<task>"),
    (re.compile(r"\b[\w.-]+-\d+-[0-9a-f]{6}\b"), "<worker>"),
    (re.compile(r"\b\d+(\.\d+)? (ms|s|min|h|d)\b( \d+ (s|min|h)\b)?"), "<duration>"),
    (re.compile(r" {2,}"), " "),
)
_PROMPT = "$ "
_MORE = "> "


@attrs.frozen(kw_only=True)
class Block:
    """One fenced block.

    Attributes:
        number: Its place among the blocks of the page, from 1.
        line: The line of its first line of text, from 1.
        language: The word after the fence.
        text: What is in it.
        mark: The comment before it, or an empty string.
    """

    number: int
    line: int
    language: str
    text: str
    mark: str = ""

    def marked(self, name: str) -> str | None:
        """Return what the comment `name: ...` before the block says, an empty string for `name` alone, or None."""
        found, _, rest = self.mark.partition(":")
        return rest.strip() if found.strip() == name else None


@attrs.frozen
class Command:
    """One command of a console block, and the output that the page shows for it."""

    text: str
    output: str


def blocks_of(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    blocks: list[Block] = []
    lines = page.read_text("utf-8").splitlines()
    mark, position = "", 0
    while position < len(lines):
        line = lines[position]
        fence = _FENCE.fullmatch(line)
        position += 1
        if fence is None:
            comment = _COMMENT.fullmatch(line.strip())
            mark = comment["mark"] if comment else mark if not line.strip() else ""
            continue
        end = lines.index(fence["ticks"], position)
        blocks.append(
            Block(
                number=len(blocks) + 1,
                line=position + 1,
                language=fence["language"],
                text="".join(f"{text}\n" for text in lines[position:end]),
                mark=mark,
            )
        )
        mark, position = "", end + 1
    return blocks


def commands_of(block: Block) -> list[Command]:
    """Return the commands of a console block: lines after `$ ` (and `> ` for more lines), and their output."""
    commands: list[tuple[list[str], list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith(_PROMPT):
            commands.append(([line.removeprefix(_PROMPT)], []))
        elif line.startswith(_MORE) and commands and not commands[-1][1]:
            commands[-1][0].append(line.removeprefix(_MORE))
        elif commands:
            commands[-1][1].append(line)
        else:
            msg = f"line {block.line}: a console block begins with '{_PROMPT}', not {line!r}"
            raise ValueError(msg)
    return [Command("\n".join(text), "\n".join(output)) for text, output in commands]


def links_of(page: Path) -> list[str]:
    """Return the targets of the links of a page that are not in code."""
    text = page.read_text("utf-8")
    text = re.sub(r"^(`{3,})[^\n]*\n.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`[^`\n]*`", "", text)
    return [match["target"] for match in _LINK.finditer(text)]


def matches(expected: str, printed: str) -> bool:
    """Tell whether output is as the page says; what does not count is in the docstring of this module."""
    parts = [re.escape(part) for part in _fixed(expected).split("...")]
    return re.fullmatch(".*?".join(parts), _fixed(printed), re.DOTALL) is not None


def _fixed(text: str) -> str:
    for pattern, kind in _VARYING:
        text = pattern.sub(kind, text)
    return "\n".join(line.strip() for line in text.strip().splitlines())
