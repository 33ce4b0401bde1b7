"""The documentation is true: its code runs and prints what it says, and its links lead somewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from docblocks import Block, blocks_of, commands_of, links_of, matches

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
SEEDS = DOCS / "seeds"
PROMISED_AT = {
    SEEDS / "storage-backend-tradeoffs.md": DOCS / "explanation",
    SEEDS / "independent-storage-selection.md": DOCS,
}
"""The user's documents were written for these folders; they are kept elsewhere, unchanged."""

EXECUTED = {"python", "console"}
UNEXECUTED = {"ini", "json", "mermaid", "sql", "text", "toml", "yaml"}
NOISE = re.compile(r"\w*Warning:|Exception ignored|was never (awaited|retrieved)|was destroyed but")


def pages() -> list[Path]:
    own = [page for page in sorted(DOCS.rglob("*.md")) if SEEDS not in page.parents]
    manifests = [*ROOT.glob("*/pyproject.toml"), *ROOT.glob("examples/*/pyproject.toml")]
    return [ROOT / "README.md", *sorted(path.with_name("README.md") for path in manifests), *own]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


PAGES = pages()
TEXTS = sorted({*PAGES, *ROOT.glob("*.md"), *SEEDS.glob("*.md"), ROOT / "changelog.d" / "README.md"})


# ------------------------------------------------------------------------------------------- what the blocks say


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_is_executed_or_says_why_not(page):
    wrong = []
    for block in blocks_of(page):
        reason = block.marked("not run")
        if reason is not None and len(reason.split()) < 3:
            wrong.append(f"{block.line}: 'not run' without a reason")
        elif block.language in EXECUTED or block.marked("file") or block.marked("prints") is not None:
            continue
        elif block.language not in UNEXECUTED:
            wrong.append(f"{block.line}: a block in {block.language or 'no language'}")
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_a_page_writes_is_used_by_it(page):
    blocks = blocks_of(page)
    unused = []
    for place, block in enumerate(blocks):
        name = block.marked("file")
        later = "".join(other.text for other in blocks[place + 1 :] if other.marked("not run") is None)
        if name and Path(name).stem not in later:
            unused.append(name)
    assert unused == []


# --------------------------------------------------------------------------------------------------- execution


def steps_of(page: Path) -> list[tuple[list[str], str | None, int]]:
    """Return [kind, text, name] of each step, the output that the page shows for it, and its line."""
    steps: list[tuple[list[str], str | None, int]] = []
    background: list[tuple[str, int]] = []
    for block in blocks_of(page):
        file, raises = block.marked("file"), block.marked("raises")
        if block.marked("not run") is not None:
            continue
        if block.marked("prints") is not None:
            step, _, line = steps[-1]
            steps[-1] = (step, block.text, line)
        elif file:
            steps.append((["file", block.text, file], None, block.line))
        elif block.language == "python":
            kind, name = ("raises", raises) if raises else ("python", name_of(page))
            steps.append(([kind, block.text, name], None, block.line))
        elif block.language == "console":
            for command in commands_of(block):
                if block.marked("background") is None:
                    steps.append((["console", command.text, ""], command.output, block.line))
                else:
                    steps.append((["background", command.text, ""], None, block.line))
                    background.append((command.output, block.line))
    return [*steps, *((["end", "", ""], output, line) for output, line in background)]


def environment() -> dict[str, str]:
    """Return the variables of a user's shell in which this very environment is activated; warnings are errors."""
    leaking = ("OMNIQ_", "PYTHON", "PYTEST", "COV_", "FORCE_COLOR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(leaking)}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])
    own = {"COLUMNS": "120", "NO_COLOR": "1", "PYTHONWARNINGS": "error", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return {**kept, **own, "PATH": path}


EXECUTABLE = [page for page in PAGES if steps_of(page)]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("page", EXECUTABLE, ids=name_of)
def test_the_code_of_a_page_runs_and_prints_what_the_page_says(page, tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    steps, results = tmp_path / "steps.json", tmp_path / "results.jsonl"
    wanted = steps_of(page)
    steps.write_text(json.dumps([step for step, _, _ in wanted]), "utf-8")
    driver = Path(__file__).with_name("page_driver.py")
    done = subprocess.run(
        [sys.executable, str(driver), str(steps), str(results)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    answers = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    for (step, expected, line), answer in zip(wanted, answers, strict=False):
        place = f"{name_of(page)}:{line} {step[0]}"
        assert "failed" not in answer, f"{place}\n{answer['failed']}\n{done.stderr}"
        shown = answer["printed"]
        assert expected is None or matches(expected, shown), f"{place} printed\n{shown}\nbut the page says\n{expected}"
    assert (done.returncode, len(answers)) == (0, len(wanted)), done.stderr
    assert NOISE.findall(done.stderr) == [], done.stderr


def test_most_pages_are_executed():
    assert len(EXECUTABLE) >= 8


def test_expected_output_is_compared_exactly_but_for_the_dots():
    assert matches("a ... c\n", "a b c   \n")
    assert matches("...done", "one\ntwo\ndone\n")
    assert not matches("a c", "a b c")
    assert not matches("a", "a\nb")


def test_what_varies_is_compared_by_its_kind():
    assert matches("2026-11-22 03:35:28 took 13 ms", "2027-01-02 10:00:00 took 2 s")
    assert matches("web-71-a984e7  1  ok", "vm.local-7349-00ff00 1 ok")
    assert matches("task-01a20152-b3b4-7000-87ab-76179541747b: 5", "task-02a20152-b3b4-7111-87ab-76179541747c: 5")
    assert not matches("13 ms", "13 mails")
    assert not matches("attempt 1", "attempt 2")


def test_marks_belong_to_the_next_block_only(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- file: a.py -->\n\n```python\n1\n```\n\n```python\n2\n```\n<!-- prints -->\nno\n\n```text\n3\n```\n",
        "utf-8",
    )
    assert blocks_of(page) == [
        Block(number=1, line=4, language="python", text="1\n", mark="file: a.py"),
        Block(number=2, line=8, language="python", text="2\n"),
        Block(number=3, line=14, language="text", text="3\n"),
    ]


# ------------------------------------------------------------------------------------------------------- links


@pytest.mark.parametrize("page", TEXTS, ids=name_of)
def test_relative_links_lead_somewhere(page):
    folder = PROMISED_AT.get(page, page.parent)
    broken = []
    for link in links_of(page):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        found = (folder / target).resolve() if target else page
        if not found.exists() or not found.is_relative_to(ROOT) or (anchor and anchor not in anchors_of(found)):
            broken.append(link)
    assert broken == []


def anchors_of(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of the headings."""
    outside = re.sub(r"^(`{3,})[^\n]*\n.*?^\1$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", outside, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_page_can_be_reached_from_the_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.is_file():
            continue
        reached.add(page)
        links = [link.partition("#")[0] for link in links_of(page)]
        waiting += [(page.parent / link).resolve() for link in links if link and ":" not in link]
    assert [name_of(page) for page in [*PAGES, *sorted(SEEDS.glob("*.md"))] if page not in reached] == []


def test_nothing_points_out_of_the_repository():
    found = [
        name_of(page)
        for page in [*TEXTS, *sorted(ROOT.rglob("examples/*"))]
        if page.is_file() and "../shared" in page.read_text("utf-8")
    ]
    assert found == []
