from __future__ import annotations

from pathlib import Path

import click
import pytest

from omniq.cli.target import Target
from omniq.models.config import OmniQConfig, Role, StorageBackendConfig


def test_nothing_said_is_left_to_the_environment():
    assert Target().configuration() is None


def test_a_backend_keeps_all_four_roles():
    config = Target(backend="sqlite", url="sqlite:///x.db", base_dir=Path("/data")).configuration()
    expected = StorageBackendConfig("sqlite", "sqlite:///x.db")
    assert dict.fromkeys(Role, expected) == {role: config.backend(role) for role in Role}
    assert Path("/data") == config.base_dir


def test_a_folder_alone_leaves_the_backends_open():
    config = Target(base_dir=Path("/data")).configuration()
    assert OmniQConfig(base_dir="/data") == config


@pytest.mark.parametrize(
    ("url", "expected"), [("x.db", "sqlite"), ("sqlite:////x.db", "sqlite"), ("postgresql://u@h/db", "postgres")]
)
def test_a_url_tells_its_backend(url, expected):
    config = Target(url=url).configuration()
    assert {config.backend(role) for role in Role} == {StorageBackendConfig(expected, url)}


@pytest.mark.parametrize(
    "given",
    [
        {"app": "a:b", "url": "x.db"},
        {"app": "a:b", "config": Path("c.yaml")},
        {"config": Path("c.yaml"), "base_dir": Path()},
    ],
)
def test_two_ways_to_say_where_are_refused(given):
    with pytest.raises(click.UsageError, match="both say where"):
        Target(**given)


def test_a_yaml_file(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("project_name: shop\n")
    assert Target(config=file).configuration().project_name == "shop"
