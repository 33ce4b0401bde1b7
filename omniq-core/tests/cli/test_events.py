from __future__ import annotations

import json
import signal


def test_list_filters_and_limits(invoke, answer):
    first = answer("enqueue", "shop.add", "--queue", "mail")["id"]
    second = answer("enqueue", "shop.add")["id"]
    invoke("task", "cancel", first)
    kinds = [(event["task_id"], event["type"]) for event in answer("event", "list", "--oldest-first")]
    assert kinds == [(first, "ENQUEUED"), (second, "ENQUEUED"), (first, "CANCELLED")]
    assert [event["type"] for event in answer("event", "list", "--task", first)] == ["CANCELLED", "ENQUEUED"]
    assert [event["task_id"] for event in answer("event", "list", "-t", "enqueued", "-q", "mail")] == [first]
    assert answer("event", "list", "--until", "-1h") == []
    cut = invoke("event", "list", "--limit", "2")
    assert len(cut.stdout.splitlines()) == 3
    assert "there may be more" in cut.stderr
    assert invoke("event", "list", "--all").stderr == ""


def test_tail_begins_with_the_last_and_goes_on(invoke, answer, omniq):
    ids = [answer("enqueue", "shop.add")["id"] for _ in range(3)]
    tail = omniq("event", "tail", "--last", "2", "--count", "3", "--json")
    shown = [json.loads(tail.stdout.readline())["task_id"] for _ in range(2)]
    assert shown == ids[1:]
    invoke("task", "cancel", ids[0])
    event = json.loads(tail.stdout.readline())
    assert (event["task_id"], event["type"]) == (ids[0], "CANCELLED")
    assert tail.wait(30) == 0


def test_tail_ends_at_ctrl_c(answer, omniq):
    answer("enqueue", "shop.add")
    tail = omniq("event", "tail")
    assert " ENQUEUED " in tail.stdout.readline()
    tail.send_signal(signal.SIGINT)
    out, err = tail.communicate(timeout=30)
    assert (tail.returncode, out, err) == (130, "", "Interrupted.\n")
