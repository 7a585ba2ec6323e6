"""From nothing but Python to .venv: what `make` does before everything else."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys

import pytest

from aforo.runtime.installation import Installation, InstallFault, locked
from tests.runtime.builders import PROJECT


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """`make`, also where these tests were started by another make."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
    }
    return subprocess.run(
        ["make", *words], check=False, capture_output=True, text=True, cwd=PROJECT, env=environment
    )


class Counted(Installation):
    """An installation that notes the locks it installs instead of asking a package index."""

    def __init__(self, project):
        super().__init__(project)
        self.installed: list[str] = []

    def _packages_install(self, lock):
        self.installed.append(lock.name)


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "requirements.lock").write_text("django==5.2.19\n")
    (folder / "requirements-dev.lock").write_text("django==5.2.19\npytest==9.2.0\n")
    return folder


@pytest.mark.slow
def test_packages_are_installed_when_the_lock_has_changed_and_only_then(project):
    installation = Counted(project)
    for _ in range(2):
        installation.make(is_dev=False)
        assert installation.installed == ["requirements.lock"]
    # Tests need more; what they installed serves to run as well.
    for is_dev in (True, False, True):
        installation.make(is_dev=is_dev)
        assert installation.installed == ["requirements.lock", "requirements-dev.lock"]
    (project / "requirements.lock").write_text("django==5.2.20\n")
    (project / "requirements-dev.lock").write_text("django==5.2.20\npytest==9.2.0\n")
    installation.make(is_dev=False)
    assert installation.installed[2:] == ["requirements.lock"]

    # Its scripts name the place where it was made, so a copy of the project makes its own.
    moved = project.with_name("moved")
    shutil.copytree(project, moved, symlinks=True)
    (moved / ".venv" / "left").touch()
    copy = Counted(moved)
    copy.make(is_dev=False)
    assert copy.installed == ["requirements.lock"]
    assert not (moved / ".venv" / "left").exists()


def test_debian_without_python3_venv_is_told_which_package(project, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ensurepip" else real(name))
    with pytest.raises(InstallFault, match=r"apt install python3-venv"):
        Counted(project).make(is_dev=False)


def test_an_old_python_is_refused_with_the_version_needed(tmp_path):
    old = tmp_path / "python3"
    # All that the Makefile asks of a candidate is whether it is new enough.
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    answer = make("install", f"PYTHON={old}")
    assert answer.returncode != 0
    assert f"Aforo needs Python 3.11 or newer; {old} is none." in answer.stderr


def test_make_help_has_a_sentence_for_every_target_a_user_calls():
    answer = make("help")
    assert answer.returncode == 0, answer.stderr
    lines = dict(line.split(maxsplit=1)[1].split(maxsplit=1) for line in answer.stdout.splitlines())
    assert {"help", "run", "demo", "test", "check", "bench"} <= lines.keys()
    assert all(sentence.endswith(".") for sentence in lines.values())


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_the_locks_hold_every_pinned_package_with_hashes_and_no_address(name):
    lock = (PROJECT / f"{name}.lock").read_text()
    pinned = re.findall(
        r"^([a-z0-9-]+)(?:\[.*?\])?==(\S+)", (PROJECT / f"{name}.txt").read_text(), re.MULTILINE
    )
    assert pinned
    for package, version in pinned:
        assert f"{package}=={version}" in lock
    entries = re.findall(r"^[a-z0-9-]+==.*", lock, re.MULTILINE)
    assert all(entry.endswith("\\") for entry in entries)
    assert "://" not in lock


def test_the_installer_itself_is_installed_by_hash():
    entry = locked(PROJECT / "requirements-dev.lock", "uv")
    assert re.match(r"uv==[\d.]+ \\\n    --hash=sha256:", entry)
    assert entry.count("==") == 1


def test_the_installer_runs_on_the_standard_library_alone():
    answer = subprocess.run(
        [sys.executable, "-I", "-S", str(PROJECT / "aforo/runtime/installation.py"), "--help"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "--dev" in answer.stdout
