from __future__ import annotations

import inspect
import pickle
from datetime import timedelta
from pathlib import Path

import pytest

from omniq.errors import ConfigError
from omniq.models.config import OmniQConfig, Role, StorageBackendConfig
from omniq.models.durations import parse_seconds, seconds_to_millis
from omniq.models.redaction import redact, redact_text

YAML = """\
project_name: "my_omniq_app"

task_queue_backend:
  backend_type: "sqlite"
  url: "sqlite:///tasks.db"

result_storage_backend:
  backend_type: "file"
  config:
    base_dir: "./results"
    serialization_format: "json"

event_storage_backend:
  backend_type: "memory"

schedule_storage_backend:
  backend_type: "sqlite"
  url: "sqlite:///schedules.db"

default_ttl: 3600
log_level: "INFO"
"""


def faults_of(make):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - that it is a ValueError is the promise
        make()
    assert isinstance(caught.value, ConfigError)
    return str(caught.value)


def test_the_defaults():
    config = OmniQConfig()
    assert tuple(config.backend(role) for role in Role) == (None, None, None, None)
    assert (
        config.project_name,
        config.default_ttl,
        config.log_level,
        config.base_dir,
    ) == ("omniq", 86_400, "INFO", None)
    assert (
        config.task_retention,
        config.event_retention,
        config.serializer,
        config.signing_key,
        config.allowed_modules,
        config.default_queue,
    ) == (86_400, 30 * 86_400, "json", None, (), "default")


def test_a_signature_shows_the_real_defaults():
    parameters = inspect.signature(OmniQConfig).parameters
    assert repr(parameters["default_ttl"].default) == "86400"


def test_the_yaml_of_the_user_document(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(YAML)
    assert OmniQConfig(
        task_queue_backend=StorageBackendConfig(backend_type="sqlite", url="sqlite:///tasks.db"),
        result_storage_backend=StorageBackendConfig(
            backend_type="file", config={"base_dir": "./results", "serialization_format": "json"}
        ),
        event_storage_backend=StorageBackendConfig(backend_type="memory"),
        schedule_storage_backend=StorageBackendConfig(backend_type="sqlite", url="sqlite:///schedules.db"),
        project_name="my_omniq_app",
        default_ttl=3600,
        log_level="INFO",
    ) == OmniQConfig.from_yaml(path)


def test_the_environment_of_the_user_document():
    config = OmniQConfig.from_env(
        {
            "OMNIQ_TASK_QUEUE_TYPE": "sqlite",
            "OMNIQ_TASK_QUEUE_URL": "sqlite:///tasks.db",
            "OMNIQ_RESULT_STORAGE_TYPE": "file",
            "OMNIQ_RESULT_STORAGE_URL": "./results",
            "OMNIQ_EVENT_STORAGE_TYPE": "memory",
            "OMNIQ_SCHEDULE_STORAGE_TYPE": "sqlite",
            "OMNIQ_SCHEDULE_STORAGE_URL": "sqlite:///schedules.db",
            "HOME": "/root",
        }
    )
    assert (
        OmniQConfig(
            StorageBackendConfig("sqlite", "sqlite:///tasks.db"),
            StorageBackendConfig("file", "./results"),
            StorageBackendConfig("memory"),
            StorageBackendConfig("sqlite", "sqlite:///schedules.db"),
        )
        == config
    )


def test_every_other_variable_sets_its_field():
    config = OmniQConfig.from_env(
        {
            "OMNIQ_BACKEND": "memory",
            "OMNIQ_BASE_DIR": "/var/lib/omniq",
            "OMNIQ_PROJECT_NAME": "shop",
            "OMNIQ_DEFAULT_TTL": "90m",
            "OMNIQ_LOG_LEVEL": "debug",
            "OMNIQ_TASK_RETENTION": "0",
            "OMNIQ_EVENT_RETENTION": "never",
            "OMNIQ_SERIALIZER": "msgpack",
            "OMNIQ_SIGNING_KEY": "0123456789abcdef",
            "OMNIQ_ALLOWED_MODULES": "shop.tasks, reports",
            "OMNIQ_DEFAULT_QUEUE": "mail",
            "OMNIQ_DISABLED_PLUGINS": "x",
            "OMNIQ_WORKER_CONCURRENCY": "4",
        }
    )
    assert (
        OmniQConfig(
            task_queue_backend=StorageBackendConfig("memory"),
            base_dir=Path("/var/lib/omniq"),
            project_name="shop",
            default_ttl=timedelta(minutes=90),
            log_level="DEBUG",
            task_retention=0,
            event_retention=None,
            serializer="msgpack",
            signing_key=b"0123456789abcdef",
            allowed_modules=["shop.tasks", "reports"],
            default_queue="mail",
        )
        == config
    )
    assert config.source_of("default_ttl") == "OMNIQ_DEFAULT_TTL"


def test_the_type_variable_goes_before_omniq_backend():
    config = OmniQConfig.from_env({"OMNIQ_BACKEND": "memory", "OMNIQ_TASK_QUEUE_TYPE": "sqlite"})
    assert StorageBackendConfig("sqlite") == config.task_queue_backend


def test_an_empty_variable_is_unset():
    assert OmniQConfig() == OmniQConfig.from_env({"OMNIQ_BACKEND": "", "OMNIQ_LOG_LEVEL": "  "})


def test_what_was_given_stays_and_what_was_left_out_is_filled_in():
    environ = {"OMNIQ_LOG_LEVEL": "DEBUG", "OMNIQ_PROJECT_NAME": "shop", "OMNIQ_BACKEND": "memory"}
    config = OmniQConfig(log_level="INFO").with_environment(environ)
    assert ("INFO", "shop", StorageBackendConfig("memory")) == (
        config.log_level,
        config.project_name,
        config.task_queue_backend,
    )
    assert (
        config.source_of("log_level"),
        config.source_of("project_name"),
        config.source_of("serializer"),
    ) == ("explicit configuration", "OMNIQ_PROJECT_NAME", "default")


def test_the_environment_is_read_once():
    config = OmniQConfig.from_env({"OMNIQ_PROJECT_NAME": "shop"})
    assert config.with_environment({"OMNIQ_LOG_LEVEL": "DEBUG"}).log_level == "INFO"


def test_a_file_is_the_source_of_what_it_has(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("log_level: DEBUG\n")
    config = OmniQConfig.from_yaml(str(path)).with_environment({"OMNIQ_LOG_LEVEL": "ERROR"})
    assert ("DEBUG", str(path)) == (config.log_level, config.source_of("log_level"))


def test_an_empty_file_configures_nothing(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("# nothing\n")
    assert OmniQConfig() == OmniQConfig.from_yaml(path)


def test_all_faults_of_a_file_are_listed_with_paths_values_and_remedies(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(
        "projct_name: x\ndefault_ttl: soon\nlog_level: LOUD\n"
        "task_queue_backend: {backend_typ: sqlite, url: 5}\nevent_storage_backend: redis\n"
    )
    text = faults_of(lambda: OmniQConfig.from_yaml(path))
    assert f"Invalid configuration {path}, 7 faults:" == text.splitlines()[0]
    assert "projct_name: unknown key. Did you mean 'project_name'? Known keys: " in text
    assert "default_ttl: 'soon' is not a duration. Give seconds (3600)" in text
    assert "log_level: 'LOUD' is not a log level. Use one of CRITICAL, ERROR, WARNING, INFO, DEBUG" in text
    assert "task_queue_backend.backend_typ: unknown key. Did you mean 'backend_type'?" in text
    assert "task_queue_backend.backend_type: is missing, and there is no default for it" in text
    assert "task_queue_backend.url: 5 is not a url." in text
    assert "event_storage_backend: 'redis' is not a mapping; its keys are backend_type, url, config" in text


def test_all_faults_of_a_call_are_listed():
    text = faults_of(
        lambda: OmniQConfig(task_queue_backend="sqlite", default_ttl=-1, log_level="INF0", allowed_modules="a b")
    )
    assert text.splitlines()[0] == "Invalid OmniQConfig, 4 faults:"
    assert "default_ttl: -1 is negative" in text
    assert "Did you mean 'INFO'?" in text
    assert "task_queue_backend: 'sqlite' is not a backend. Give StorageBackendConfig(backend_type=...)" in text
    assert "allowed_modules: 'a b' is not a module" in text


def test_all_faults_of_a_backend_are_listed():
    text = faults_of(lambda: StorageBackendConfig("", url=5, config=[1]))
    assert [line.split(":")[0].strip(" -") for line in text.splitlines()[1:]] == ["backend_type", "url", "config"]


def test_all_faults_of_the_environment_are_listed():
    text = faults_of(
        lambda: OmniQConfig.from_env(
            {"OMNIQ_TASK_QUEUE_TPYE": "redis", "OMNIQ_DEFAULT_TTL": "abc", "OMNIQ_RESULT_STORAGE_URL": "./results"}
        )
    )
    assert text.splitlines()[0] == "Invalid environment, 3 faults:"
    assert "OMNIQ_TASK_QUEUE_TPYE: unknown variable. Did you mean OMNIQ_TASK_QUEUE_TYPE?" in text
    assert "OMNIQ_DEFAULT_TTL: 'abc' is not a duration" in text
    assert "OMNIQ_RESULT_STORAGE_URL: is set, but OMNIQ_RESULT_STORAGE_TYPE is not" in text


@pytest.mark.parametrize(
    "name", ["OMNIQ_WORKER_QUEUES", "OMNIQ_DEMO_PATH", "OMNIQ_TASK_LIST_QUEUE", "OMNIQ_APP", "OMNIQ_CONFIG", "OMNIQ_XY"]
)
def test_variables_of_others_are_left_alone(name):
    assert OmniQConfig() == OmniQConfig.from_env({name: "x"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("log_level: INFO\nlog_level: DEBUG\n", "line 2: the key 'log_level' is given twice. Keep one of them"),
        ("a: [1\n", "is not YAML"),
        ("- 1\n", "[1] is not a mapping"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path, content, message):
    path = tmp_path / "config.yaml"
    path.write_text(content)
    assert message in faults_of(lambda: OmniQConfig.from_yaml(path))


def test_a_file_that_is_not_there(tmp_path):
    text = faults_of(lambda: OmniQConfig.from_yaml(tmp_path / "none.yaml"))
    assert f"Cannot read the configuration file {str(tmp_path / 'none.yaml')!r}" in text


def test_from_dict_takes_backends_that_are_made_already():
    backend = StorageBackendConfig("memory")
    assert OmniQConfig(event_storage_backend=backend) == OmniQConfig.from_dict({"event_storage_backend": backend})


def test_no_secret_is_in_a_repr():
    config = OmniQConfig(
        task_queue_backend=StorageBackendConfig(
            "redis", "redis://user:hunter2@host/0", {"password": "hunter2", "nested": {"api_token": "hunter2"}}
        ),
        signing_key="hunter2-hunter2-hunter2",
    )
    assert "hunter2" not in repr(config)
    assert "redis://user:***@host/0" in repr(config)


def test_no_secret_is_in_an_error():
    text = faults_of(
        lambda: OmniQConfig.from_dict(
            {
                "signing_key": "hunter2",
                "task_queue_backend": {"backend_type": "x", "config": "password=hunter2"},
                "event_storage_backend": {"backend_type": "x", "url": {"password": "hunter2"}},
            }
        )
    )
    assert text.count("\n  - ") == 3
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://user:pa/ss@w@localhost:5432/omniq", "postgresql://user:***@localhost:5432/omniq"),
        ("redis://:pw@h:6379/0", "redis://:***@h:6379/0"),
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("nats://s3cr3t@h:4222", "nats://***@h:4222"),
        ("postgresql://user@h/db?password=pw&x=1", "postgresql://user@h/db?password=***&x=1"),
        ("host=h password=pw", "host=h password=***"),
        ("sqlite:///a.db", "sqlite:///a.db"),
    ],
)
def test_redacted_text(text, expected):
    assert expected == redact_text(text)


def test_redacted_options():
    options = {"password": None, "key": "A", "servers": ["nats://u:p@h"], "port": 1}
    assert redact(options) == {"password": None, "key": "***", "servers": ["nats://u:***@h"], "port": 1}
    assert options["key"] == "A"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3600, 3600),
        (0.5, 0.5),
        ("3600", 3600),
        ("90s", 90),
        ("15m", 900),
        ("24 h", 86_400),
        ("30d", 2_592_000),
        ("1.5h", 5400),
        ("250ms", 0.25),
        (timedelta(hours=1), 3600),
        (None, None),
        ("Never", None),
        (0, 0),
    ],
    ids=repr,
)
def test_durations(value, expected):
    assert expected == parse_seconds(value)


@pytest.mark.parametrize("value", [True, "1 year", -1, float("nan"), float("inf"), 1e12, [], "", "-5s"])
def test_what_is_no_duration(value):
    with pytest.raises(ValueError, match="None"):
        parse_seconds(value)


@pytest.mark.parametrize(("seconds", "expected"), [(1, 1000), (0.0001, 1), (None, None), (0, 0), (0.1 + 0.2, 300)])
def test_seconds_to_millis(seconds, expected):
    assert expected == seconds_to_millis(seconds)


def test_a_configuration_goes_to_other_processes():
    config = OmniQConfig(StorageBackendConfig("sqlite"), default_ttl=5).with_environment({"OMNIQ_LOG_LEVEL": "DEBUG"})
    copy = pickle.loads(pickle.dumps(config))
    assert config == copy
    assert copy.source_of("log_level") == "OMNIQ_LOG_LEVEL"
