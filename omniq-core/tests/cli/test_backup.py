from __future__ import annotations


def test_a_copy_has_everything(invoke, answer):
    task_id = answer("enqueue", "shop.add", "1")["id"]
    told = answer("backup", "copy.db")
    assert told["destination"] == "copy.db"
    assert told["bytes"] > 0
    assert told["not_included"] == []
    assert [task["id"] for task in answer("task", "list", "--url", "copy.db")] == [task_id]
    assert invoke("backup", "second.db").stdout.startswith("second.db: ")


def test_nothing_is_overwritten(invoke, folder):
    (folder / "copy.db").write_text("precious")
    assert "'copy.db' exists already" in invoke("backup", "copy.db", code=2).stderr
    assert (folder / "copy.db").read_text() == "precious"


def test_roles_that_are_kept_elsewhere_are_named(invoke, monkeypatch):
    monkeypatch.setenv("OMNIQ_RESULT_STORAGE_TYPE", "memory")
    assert "Not in this copy, because they are kept elsewhere: result storage." in invoke("backup", "copy.db").stderr


def test_a_backend_without_backups_is_refused(invoke):
    told = invoke("backup", "copy.db", "--backend", "memory", code=6).stderr
    assert told.startswith("Error: The memory backend makes no backups of its own.")
