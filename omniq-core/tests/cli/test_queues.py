from __future__ import annotations


def test_list_pause_and_resume(invoke, answer):
    answer("enqueue", "shop.add", "--queue", "mail")
    answer("enqueue", "shop.add", "--queue", "mail", "--delay", "1h")
    assert invoke("queue", "pause", "mail", "empty").stdout == "mail, empty: paused.\n"
    listed = {queue["name"]: queue for queue in answer("queue", "list")}
    assert sorted(listed) == ["empty", "mail"]
    assert {name: listed["mail"][name] for name in ("paused", "ready", "scheduled")} == {
        "paused": True,
        "ready": 1,
        "scheduled": 1,
    }
    assert answer("queue", "resume", "mail", "empty") == [
        {"name": "mail", "paused": False},
        {"name": "empty", "paused": False},
    ]
    assert [queue["paused"] for queue in answer("queue", "list")] == [False]
    assert invoke("queue", "list").stdout.splitlines()[1].split()[:4] == ["mail", "-", "1", "1"]


def test_purge_cancels_what_waits(invoke, answer):
    for queue in ("mail", "mail", "other"):
        answer("enqueue", "shop.add", "--queue", queue)
    assert answer("queue", "purge", "mail", "--dry-run") == {"count": 2}
    assert "Cancel 2 waiting tasks of the queue mail?" in invoke("queue", "purge", "mail", code=2).stderr
    assert answer("queue", "purge", "mail", "--yes") == {"cancelled": 2}
    assert {queue["name"]: queue["cancelled"] for queue in answer("queue", "list")} == {"mail": 2, "other": 0}
