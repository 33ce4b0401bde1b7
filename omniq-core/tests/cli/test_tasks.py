from __future__ import annotations

import re


def enqueue(answer, *arguments):
    return answer("enqueue", *arguments)["id"]


def test_enqueue_prints_the_id_alone(invoke, answer):
    task_id = invoke("enqueue", "shop.add", "1", "2").stdout.strip()
    assert re.fullmatch(r"task-[0-9a-f-]{36}", task_id)
    assert answer("task", "show", task_id)["id"] == task_id


def test_enqueue_takes_json_or_text_and_every_option(answer):
    task_id = enqueue(
        answer, "mail.send", "3", '"3"', "hello", "[1]", "-k", "to=you", "-k", "copies=2", "--queue", "mail",
        "--priority", "9", "--eta", "2126-01-01T00:00+00:00", "--max-retries", "1", "--timeout", "5s",
        "--unique-key", "k", "--id", "my-id", "--result-ttl", "1h", "--expires-in", "2h", "--header", "trace=abc",
    )  # fmt: skip
    task = answer("task", "show", task_id)
    assert task_id == "my-id"
    assert {name: task[name] for name in ("args", "kwargs", "queue", "priority", "eta", "max_retries", "timeout")} == {
        "args": [3, "3", "hello", [1]],
        "kwargs": {"to": "you", "copies": 2},
        "queue": "mail",
        "priority": 9,
        "eta": "2126-01-01T00:00:00+00:00",
        "max_retries": 1,
        "timeout": 5.0,
    }
    assert {name: task[name] for name in ("unique_key", "result_ttl", "expires_at", "headers", "view")} == {
        "unique_key": "k",
        "result_ttl": 3600.0,
        "expires_at": "2126-01-01T02:00:00+00:00",
        "headers": {"trace": "abc"},
        "view": "SCHEDULED",
    }


def test_enqueue_says_if_another_task_stands_in_the_way(invoke, answer):
    first = answer("enqueue", "shop.add", "--unique-key", "k")
    second = invoke("enqueue", "shop.add", "--unique-key", "k")
    assert first["created"]
    assert second.stdout.strip() == first["id"]
    assert "stands in the way" in second.stderr


def test_enqueue_refuses_what_the_library_refuses(invoke):
    result = invoke("enqueue", "shop.add", "--eta", "1h", "--delay", "1h", code=2)
    assert "Error: Invalid the options of the task" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_registered_task_brings_its_options(shop, answer):
    del shop
    task_id = answer("enqueue", "shop.fail", "--app", "shop:app")["id"]
    assert answer("task", "show", task_id, "--app", "shop")["max_retries"] == 0


def test_list_filters_and_limits(invoke, answer):
    ids = [enqueue(answer, "shop.add", str(n), "--queue", f"q{n % 2}") for n in range(4)]
    assert [task["id"] for task in answer("task", "list")] == ids[::-1]
    assert [task["id"] for task in answer("task", "list", "--oldest-first", "--limit", "3")] == ids[:3]
    assert [task["id"] for task in answer("task", "list", "--queue", "q1")] == [ids[3], ids[1]]
    assert [task["id"] for task in answer("task", "list", "-q", "q0,q1", "-s", "ready", "--since", "-1h")] == ids[::-1]
    assert answer("task", "list", "--state", "FAILED") == []
    assert answer("task", "list", "--until", "-1h") == []
    cut = invoke("task", "list", "--limit", "3")
    assert "3 of 4 tasks" in cut.stderr
    assert ids[0] not in cut.stdout
    everything = invoke("task", "list", "--all")
    assert everything.stderr == ""
    assert [line.split()[0] for line in everything.stdout.splitlines()] == ["ID", *ids[::-1]]


def test_list_shows_nothing_that_steers_the_terminal(invoke, answer):
    enqueue(answer, "shop.add", "\x1b[2J", "--queue", "a\x07b")
    listed = invoke("task", "list").stdout
    assert "\x1b" not in listed
    assert "\x07" not in listed


def test_show_tells_the_whole_story(shop, invoke, answer, drain):
    del shop
    task_id = enqueue(answer, "shop.fail", "--max-retries", "0")
    drain()
    shown = answer("task", "show", task_id)
    assert [event["type"] for event in shown["events"]] == ["ENQUEUED", "STARTED", "FAILED"]
    assert shown["outcome"]["error"]["type"] == "ValueError"
    text = invoke("task", "show", task_id).stdout
    assert "Traceback (most recent call last)" in text
    assert "boom \\x1b[31m" in text
    assert "\x1b" not in text


def test_an_unknown_task_is_not_found(invoke):
    for arguments in (("task", "show"), ("task", "watch"), ("task", "cancel"), ("task", "retry"), ("result", "get")):
        invoke(*arguments, "nope", code=3)


def test_cancel_and_retry_by_id(invoke, answer):
    task_id = enqueue(answer, "shop.add")
    assert answer("task", "cancel", task_id) == {"counts": {"cancelled": 1}, "tasks": {task_id: "cancelled"}}
    assert invoke("task", "cancel", task_id).stdout == "1 had ended already\n"
    assert invoke("task", "retry", task_id).stdout == "1 enqueued again\n"
    assert answer("task", "retry", task_id, code=1)["tasks"] == {task_id: "invalid"}
    mixed = invoke("task", "cancel", task_id, "nope", code=3)
    assert mixed.stdout == "1 cancelled\n1 unknown\n"
    assert mixed.stderr == "nope: unknown\n"


def test_many_are_changed_only_after_a_question_with_their_number(invoke, answer):
    for _ in range(3):
        enqueue(answer, "shop.add", "--queue", "mail")
    enqueue(answer, "shop.add")
    assert answer("task", "cancel", "--queue", "mail", "--dry-run") == {"count": 3}
    assert invoke("task", "cancel", "--queue", "mail", "--dry-run").stdout == "3 tasks meant; nothing was changed.\n"
    assert "Cancel 3 tasks?" in invoke("task", "cancel", "--queue", "mail", code=2).stderr
    assert len(answer("task", "list", "--state", "PENDING")) == 4
    assert answer("task", "cancel", "--queue", "mail", "--yes")["counts"] == {"cancelled": 3}
    assert answer("task", "retry", "--state", "CANCELLED", "--yes")["counts"] == {"ok": 3}
    assert answer("task", "cancel", "--all", "-y")["counts"] == {"cancelled": 4}
    assert invoke("task", "retry", "--all", "-y").stdout == "No task was meant.\n"


def test_it_must_be_said_which_tasks_are_meant(invoke):
    for arguments in ((), ("--yes",), ("some-id", "--all"), ("some-id", "--queue", "mail")):
        assert "Say which tasks are meant" in invoke("task", "cancel", *arguments, code=2).stderr


def test_purge_removes_what_has_ended(invoke, answer):
    ended, waiting = enqueue(answer, "shop.add"), enqueue(answer, "shop.add")
    invoke("task", "cancel", ended)
    assert answer("task", "purge", "--dry-run") == {"count": 1}
    assert answer("task", "purge", "--older-than", "1h", "--dry-run") == {"count": 0}
    assert answer("task", "purge", "--older-than", "1h", "--yes") == {"removed": 0}
    assert "--yes" in invoke("task", "purge", code=2).stderr
    assert answer("task", "purge", "--state", "failed", "--yes") == {"removed": 0}
    assert invoke("task", "purge", "--yes").stdout == "1 task removed.\n"
    assert [task["id"] for task in answer("task", "list")] == [waiting]


def test_watch_prints_every_event_and_tells_the_end_by_its_exit_code(shop, invoke, answer, drain):
    del shop
    good, bad = enqueue(answer, "shop.add", "1", "2"), enqueue(answer, "shop.fail", "--max-retries", "0")
    drain()
    watched = invoke("task", "watch", good)
    assert [line.split()[2] for line in watched.stdout.splitlines()] == ["ENQUEUED", "STARTED", "COMPLETED"]
    assert invoke("task", "watch", bad, "--json", code=1).stdout.count('"type"') == 3
    waiting = enqueue(answer, "shop.add")
    assert "has not ended within 0.1 s" in invoke("task", "watch", waiting, "--timeout", "100ms", code=4).stderr


def test_enqueue_waits_for_the_result(omniq, shop, invoke):
    worker = omniq("worker", "shop:app")
    try:
        assert invoke("enqueue", "shop.add", "1", "2", "--app", "shop", "--wait", "30s").stdout == "3\n"
        failed = invoke("enqueue", "shop.fail", "--app", "shop", "--wait", "30s", code=1)
        assert failed.stdout == ""
        assert "ValueError: boom \\x1b[31m" in failed.stderr
    finally:
        worker.terminate()
    assert worker.wait(30) == 0
    del shop
    assert "has not ended" in invoke("enqueue", "shop.add", "--app", "shop", "--wait", "50ms", code=4).stderr
