from __future__ import annotations

from pathlib import Path

from omniq.storage.filesystem import network_filesystem


def test_network_file_systems_are_recognised(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\n")
    assert network_filesystem(tmp_path / "sub", mounts) == "nfs4"
    assert network_filesystem(Path("/"), mounts) is None
