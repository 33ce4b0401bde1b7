from __future__ import annotations

import pytest

from omniq import AsyncOmniQ
from omniq.cli.loading import load_app
from omniq.errors import ConfigError

APP = "from omniq import AsyncOmniQ\napp = AsyncOmniQ('memory://')\n"


@pytest.fixture
def write(folder):
    def make(name, text):
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)

    return make


def refusal(target):
    with pytest.raises(ConfigError) as caught:
        load_app(target)
    return str(caught.value)


def test_a_named_application(write):
    write("one.py", APP + "class Holder:\n    app = app\n")
    assert isinstance(load_app("one:app"), AsyncOmniQ)
    assert load_app("one:Holder.app") is load_app("one:app")


def test_a_package(write):
    write("big/__init__.py", "")
    write("big/inner.py", APP)
    assert isinstance(load_app("big.inner"), AsyncOmniQ)


def test_one_application_under_two_names_is_one(write):
    write("twice.py", APP + "other = app\n")
    assert isinstance(load_app("twice"), AsyncOmniQ)


def test_several_applications_are_listed(write):
    write("several.py", APP + "beta = AsyncOmniQ('memory://')\n")
    assert refusal("several").endswith("Say which one is meant: several:app, several:beta")


def test_no_application(write):
    write("none.py", "x = 1\n")
    assert "none:app" in refusal("none")


def test_what_is_no_application(write):
    write("thing.py", APP + "x = 1\n")
    assert refusal("thing:x") == "'thing:x' is a int, not an OmniQ or AsyncOmniQ. Did you mean thing:app?"


def test_a_misspelt_name(write):
    write("spelt.py", "from omniq import AsyncOmniQ\nqueue = AsyncOmniQ('memory://')\n")
    assert refusal("spelt:quue") == "'spelt:quue': spelt has no 'quue'. Did you mean spelt:queue?"


def test_a_misspelt_module(write):
    write("my_tasks.py", APP)
    assert "Did you mean 'my_tasks'?" in refusal("my_task:app")


def test_a_path_is_answered_with_the_name(write):
    write("big/inner.py", APP)
    assert refusal("./big/inner.py:app").endswith("Name the module as an import does: big.inner:app")


def test_what_is_no_name():
    assert "Write it as module:app" in refusal("not a module:app")


def test_a_module_that_lacks_another(write):
    write("needy.py", "import not_there_at_all\n")
    assert "cannot be imported: ModuleNotFoundError: No module named 'not_there_at_all'" in refusal("needy")


def test_a_module_that_raises_names_the_place(write):
    write("broken.py", "x = 1\ny = 1 / 0\n")
    text = refusal("broken")
    assert "ZeroDivisionError" in text
    assert "broken.py, line 2" in text
    assert 'python -c "import broken"' in text


def test_a_module_with_an_invalid_configuration_keeps_its_message(write):
    write("wrong.py", "from omniq.models.config import OmniQConfig\nOmniQConfig(default_ttl='soon')\n")
    assert refusal("wrong").startswith("Invalid OmniQConfig: default_ttl")
