"""Servers for the tests, started before Django reads its settings.

Loaded by `-p tests.plugin` (pyproject.toml): conftest files are read too late for that.

One throw-away PostgreSQL (no fsync), one event log and one cache are started by the controlling process;
test processes of xdist inherit its environment. Each of them gets a Redis database of its own (gw0 has 1,
gw1 has 2, a single process 0) and a home folder of its own; pytest-django gives each its own database.

DATABASE_URL, when set, is used (tests create databases `test_…` beside yours). The Redis URLs are not:
tests empty their Redis databases. To run against servers of your own set TEST_REDIS_URL, TEST_LOG_REDIS_URL.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from aforo.runtime.services import Services

_started: list[tuple[Services, Path]] = []


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config, parser, args):
    """A wrapper comes before every plain hook, so before pytest-django imports the settings."""
    options = early_config.known_args_namespace
    if not (options.help or options.version):
        worker = os.environ.get("PYTEST_XDIST_WORKER")
        if worker:
            worker_environment(worker)
        else:
            services_start()
    return (yield)


def pytest_unconfigure(config):
    services_stop()


def services_start() -> None:
    """Start the servers in a temporary folder and put their URLs into the environment."""
    home = Path(tempfile.mkdtemp(prefix="aforo-tests-"))
    given = {
        "DATABASE_URL": os.environ.get("DATABASE_URL", ""),
        "REDIS_URL": os.environ.get("TEST_REDIS_URL", ""),
        "LOG_REDIS_URL": os.environ.get("TEST_LOG_REDIS_URL", ""),
    }
    services = Services(home, relaxed=True, environ=given)
    # Also when pytest ends before its unconfigure hook, at a usage error for one.
    atexit.register(services_stop)
    _started.append((services, home))
    services.start()
    os.environ.update(services.environment())
    # The event log's administrator, for tests that empty or break it.
    log = services.servers.get("log")
    os.environ["TEST_LOG_ADMIN_URL"] = log.admin_url if log else services.given["LOG_REDIS_URL"]


def services_stop() -> None:
    """Stop what was started and remove its folder; harmless a second time."""
    while _started:
        services, home = _started.pop()
        services.stop()
        shutil.rmtree(home, ignore_errors=True)


def worker_environment(worker: str) -> None:
    """Give the test process gwN the Redis databases N+1 and a home folder of its own."""
    number = int(worker.removeprefix("gw")) + 1
    for name in ("REDIS_URL", "LOG_REDIS_URL", "TEST_LOG_ADMIN_URL"):
        os.environ[name] = urlunsplit(urlsplit(os.environ[name])._replace(path=f"/{number}"))
    home = Path(os.environ["AFORO_HOME"]) / worker
    home.mkdir(mode=0o700, exist_ok=True)
    os.environ["AFORO_HOME"] = str(home)
