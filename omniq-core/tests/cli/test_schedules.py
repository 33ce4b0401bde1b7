from __future__ import annotations

from datetime import UTC, datetime, timedelta


def test_a_cron_schedule_from_start_to_end(invoke, answer):
    arguments = ["nightly", "shop.report", "1", "-k", "x=2", "--cron", "0 3 * * *", "--zone", "Europe/Berlin"]
    made = answer("schedule", "add", *arguments, "--queue", "slow")
    expected = {
        "id": "nightly",
        "state": "active",
        "when": "0 3 * * * (Europe/Berlin)",
        "func_path": "shop.report",
        "args": [1],
        "kwargs": {"x": 2},
        "queue": "slow",
        "runs": 0,
        "paused": False,
    }
    assert {name: made[name] for name in expected} == expected
    assert [schedule["id"] for schedule in answer("schedule", "list")] == ["nightly"]
    shown = answer("schedule", "show", "nightly")
    assert len(shown["next_fire_times"]) == 5
    assert shown["next_fire_times"][0] == shown["next_run"]
    assert len(answer("schedule", "next", "nightly", "--count", "2")) == 2
    assert invoke("schedule", "pause", "nightly").stdout == "nightly: paused.\n"
    assert answer("schedule", "show", "nightly")["state"] == "paused"
    assert answer("schedule", "resume", "nightly")["paused"] is False
    task = answer("task", "show", answer("schedule", "run", "nightly")["id"])
    assert (task["func_path"], task["queue"], task["args"]) == ("shop.report", "slow", [1])
    assert invoke("schedule", "list").stdout.splitlines()[1].startswith("nightly  0 3 * * * (Europe/Berlin)")
    assert "0 3 * * *" in invoke("schedule", "show", "nightly").stdout
    assert len(invoke("schedule", "next", "nightly").stdout.splitlines()) == 6
    assert invoke("schedule", "delete", "nightly").stdout == "1 schedule removed.\n"
    assert answer("schedule", "delete", "nightly", code=3) == {"deleted": 0, "missing": ["nightly"]}


def test_an_interval_and_one_time(answer):
    every = answer("schedule", "add", "often", "shop.report", "--interval", "90s", "--max-runs", "3")
    assert (every["kind"], every["interval"], every["max_runs"]) == ("interval", 90.0, 3)
    once = answer("schedule", "add", "once", "shop.report", "--at", "1h")
    distance = datetime.fromisoformat(once["next_run"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < distance <= timedelta(hours=1)
    assert answer("schedule", "next", "once") == [once["next_run"]]


def test_what_the_library_refuses_is_a_usage_error(invoke):
    assert "Give cron=" in invoke("schedule", "add", "x", "shop.report", code=2).stderr
    assert "Error:" in invoke("schedule", "add", "x", "shop.report", "--cron", "61 * * * *", code=2).stderr


def test_an_unknown_schedule_is_not_found(invoke):
    for verb in ("show", "next", "pause", "resume", "run"):
        assert "nope" in invoke("schedule", verb, "nope", code=3).stderr
