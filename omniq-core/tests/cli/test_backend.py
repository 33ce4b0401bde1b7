from __future__ import annotations

from omniq.storage import plugins
from omniq.storage.plugins import BackendListing


def test_list(answer, invoke):
    found = {row["name"]: row for row in answer("backend", "list")}
    roles = ["task queue", "result storage", "event storage", "schedule storage"]
    assert {
        name: found["sqlite"][name] for name in ("distribution", "roles", "default_url", "disabled", "problem")
    } == {
        "distribution": "omniq-sqlite",
        "roles": roles,
        "default_url": "omniq.db",
        "disabled": False,
        "problem": "",
    }
    assert found["memory"]["roles"] == roles
    line = next(line for line in invoke("backend", "list").stdout.splitlines() if line.startswith("sqlite"))
    assert line.split()[1] == "omniq-sqlite"
    assert "all four" in line


def test_what_cannot_be_used_is_listed_with_the_reason(answer, invoke, monkeypatch):
    broken = BackendListing(name="odd", distribution="omniq-odd", version="1", problem="it has no driver")
    off = BackendListing(name="off", distribution="omniq-off", version="1", disabled=True)
    monkeypatch.setattr(plugins, "list_backends", lambda: (broken, off))
    monkeypatch.setattr(plugins, "foreign_omniq", lambda: "Another package named 'omniq'")
    assert [row["problem"] for row in answer("backend", "list")] == ["it has no driver", ""]
    result = invoke("backend", "list")
    assert "cannot be used" in result.stdout
    assert "disabled" in result.stdout
    assert result.stderr == "odd: it has no driver\nAnother package named 'omniq'\n"


def test_none_at_all(invoke, monkeypatch):
    monkeypatch.setattr(plugins, "list_backends", lambda: ())
    assert "pip install omniq-sqlite" in invoke("backend", "list").stderr
