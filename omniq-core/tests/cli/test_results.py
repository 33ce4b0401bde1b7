from __future__ import annotations


def test_get_prints_the_value_as_json(shop, invoke, answer, drain):
    del shop
    good = answer("enqueue", "shop.add", '"ä"', '"b"')["id"]
    bad = answer("enqueue", "shop.fail", "--max-retries", "0")["id"]
    waiting = answer("enqueue", "shop.add", "--delay", "1h")["id"]
    drain()
    assert invoke("result", "get", good).stdout == '"äb"\n'
    assert answer("result", "get", good)["value"] == "äb"
    failed = invoke("result", "get", bad, code=1)
    assert failed.stdout == ""
    assert "FAILED: Traceback" in failed.stderr
    assert answer("result", "get", bad, code=1)["error"]["message"] == "boom \x1b[31m"
    assert "PENDING: there is no final result" in invoke("result", "get", waiting, code=4).stderr


def test_a_result_that_is_gone_is_not_found(shop, invoke, answer, drain):
    del shop
    task_id = answer("enqueue", "shop.add", "1", "2")["id"]
    drain()
    assert invoke("result", "delete", task_id).stdout == "1 result removed.\n"
    assert "COMPLETED: there is no final result (expired)" in invoke("result", "get", task_id, code=3).stderr
    assert answer("result", "delete", task_id, "nope", "--yes", code=3) == {"deleted": 0, "missing": [task_id, "nope"]}


def test_list(shop, invoke, answer, drain):
    del shop
    ids = [answer("enqueue", "shop.add", str(n), "1")["id"] for n in range(3)]
    drain()
    assert {row["task_id"]: row["value"] for row in answer("result", "list")} == dict(zip(ids, [1, 2, 3], strict=True))
    cut = invoke("result", "list", "--limit", "2")
    assert len(cut.stdout.splitlines()) == 3
    assert "there may be more" in cut.stderr
    assert invoke("result", "list", "--all").stderr == ""
