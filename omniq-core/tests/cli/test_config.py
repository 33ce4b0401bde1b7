from __future__ import annotations

import json


def test_show_tells_where_each_value_came_from(invoke, answer, monkeypatch):
    monkeypatch.setenv("OMNIQ_RESULT_STORAGE_TYPE", "memory")
    monkeypatch.setenv("OMNIQ_DEFAULT_TTL", "1h")
    shown = answer("config", "show", "--base-dir", "data")
    roles = {row["role"]: (row["backend_type"], row["type_source"], row["url"]) for row in shown["roles"]}
    assert roles == {
        "task queue": ("sqlite", "default", "data/omniq.db"),
        "result storage": ("memory", "OMNIQ_RESULT_STORAGE_TYPE", None),
        "event storage": ("sqlite", "task queue", "data/omniq.db"),
        "schedule storage": ("sqlite", "task queue", "data/omniq.db"),
    }
    settings = {row["name"]: (row["value"], row["source"]) for row in shown["settings"]}
    assert settings["default_ttl"] == (3600, "OMNIQ_DEFAULT_TTL")
    assert settings["base_dir"] == ("data", "explicit configuration")
    assert settings["project_name"] == ("omniq", "default")
    text = invoke("config", "show").stdout
    assert "default_ttl      1 h      OMNIQ_DEFAULT_TTL" in text


def test_show_hides_secrets(invoke, folder):
    (folder / "c.yaml").write_text(
        "signing_key: 0123456789abcdef-very-secret\n"
        "task_queue_backend:\n"
        "  {backend_type: postgres, url: 'postgresql://u:hunter2@h/db', config: {password: hunter2}}\n"
    )
    for arguments in ((), ("--json",)):
        result = invoke("config", "show", "--config", "c.yaml", *arguments)
        assert "hunter2" not in result.output
        assert "very-secret" not in result.output
        assert "***" in result.stdout


def test_check(invoke, answer, monkeypatch):
    assert invoke("config", "check").stdout.startswith("Valid. task queue: sqlite")
    assert answer("config", "check") == {"valid": True, "problems": []}
    monkeypatch.setenv("OMNIQ_EVENT_STORAGE_TYPE", "kafka")
    result = invoke("config", "check", code=1)
    assert (
        "Unsupported event storage backend: kafka\nNo installed backend and no first-party backend has this name."
        in result.stderr
    )
    assert json.loads(invoke("config", "check", "--json", code=1).stdout)["problems"][0]["role"] == "event storage"


def test_the_same_problem_is_explained_once(invoke):
    told = invoke("config", "check", "--backend", "kafka", code=1).stderr
    assert told.count("Unsupported ") == 4
    assert told.count("No installed backend") == 1


def test_an_invalid_configuration_lists_all_faults(invoke, folder):
    (folder / "c.yaml").write_text("default_ttl: soon\nlog_levl: INFO\n")
    told = invoke("config", "check", "--config", "c.yaml", code=2).stderr
    assert told.startswith("Error: Invalid configuration c.yaml, 2 faults:")
    assert "Did you mean 'log_level'?" in told


def test_a_misspelt_variable_is_refused(invoke, monkeypatch):
    monkeypatch.setenv("OMNIQ_TASK_QUEU_TYPE", "sqlite")
    assert "Did you mean OMNIQ_TASK_QUEUE_TYPE?" in invoke("config", "show", code=2).stderr


def test_the_command_line_overrules_the_environment(answer, folder, monkeypatch):
    (folder / "c.yaml").write_text("project_name: shop\n")
    monkeypatch.setenv("OMNIQ_CONFIG", "c.yaml")
    monkeypatch.setenv("OMNIQ_BACKEND", "memory")

    def project_and_queue(*arguments):
        shown = answer("config", "show", *arguments)
        names = {row["name"]: row["value"] for row in shown["settings"]}
        return names["project_name"], shown["roles"][0]["backend_type"]

    assert project_and_queue() == ("shop", "memory")
    assert project_and_queue("--backend", "sqlite") == ("omniq", "sqlite")


def test_an_application_shows_its_own(shop, answer):
    del shop
    roles = answer("config", "show", "--app", "shop")["roles"]
    assert {row["url"] for row in roles} == {"shop.db"}
