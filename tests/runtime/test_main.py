"""The command line of the runtime, and the doctor's table."""

from __future__ import annotations

import subprocess
import sys

import pytest

from aforo.runtime.__main__ import command_of, main
from aforo.runtime.doctor import postgres_parts
from aforo.runtime.errors import RuntimeFault
from aforo.runtime.services import Services
from aforo.runtime.valkey import command
from tests.runtime.builders import PROJECT, python_environment


def runtime(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "aforo.runtime", *words],
        check=False,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=python_environment(**environment),
    )


def test_a_command_finds_the_servers_up_and_its_exit_code_is_returned(tmp_path):
    script = (
        "import os, sys, psycopg; connection = psycopg.connect(os.environ['DATABASE_URL']);"
        "print(connection.execute('SELECT 41 + 1').fetchone()[0]); sys.exit(5)"
    )
    answer = runtime("services", "--home", str(tmp_path / "home"), "--", "python", "-c", script)
    assert (answer.returncode, answer.stdout, answer.stderr) == (5, "42\n", "")


def test_a_command_uses_the_servers_of_a_running_supervisor(tmp_path):
    given = {"DATABASE_URL": "postgresql://db.example/aforo", "REDIS_URL": "redis://cache.example"}
    with Services(tmp_path, relaxed=True, environ=given) as services:
        script = "import os; print(os.environ['LOG_REDIS_URL'])"
        answer = runtime("services", "--home", str(tmp_path), "--", "python", "-c", script)
        assert answer.stdout.strip() == services.environment()["LOG_REDIS_URL"]
        # There is no web server to use, so this is a refusal and not a second supervisor.
        refused = runtime("with-app", "--home", str(tmp_path), "--", "true")
        assert refused.returncode == 1
        assert "is in use by process" in refused.stderr
        assert command(services.environment()["LOG_REDIS_URL"], "PING") == "PONG"


def test_manage_py_is_run_by_this_python_wherever_one_stands():
    assert command_of(["--", "manage.py", "check"]) == [sys.executable, str(PROJECT / "manage.py"), "check"]
    assert command_of(["psql", "-c", "select 1"]) == ["psql", "-c", "select 1"]
    with pytest.raises(RuntimeFault, match="Which command"):
        command_of(["--"])


def test_stopping_what_does_not_run_is_no_fault(tmp_path, capsys):
    assert main(["stop", "--home", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"Nothing runs under {tmp_path}.\n"


def test_the_doctor_finds_this_machine_well_and_an_unreachable_server_ill(tmp_path):
    well = runtime("doctor", "--home", str(tmp_path / "home"), COLUMNS="160")
    assert (well.returncode, "fault" in well.stdout) == (0, False), well.stdout
    for found in ("appendfsync always", "synchronous_commit on", "noeviction", "GiB free"):
        assert found in well.stdout
    ill = runtime(
        "doctor", "--home", str(tmp_path / "home"), COLUMNS="160", REDIS_URL="redis://127.0.0.1:1/0"
    )
    assert ill.returncode == 1
    assert "Connection refused" in ill.stdout


def test_the_doctor_names_a_log_that_would_lose_events(tmp_path):
    with Services(
        tmp_path, relaxed=True, environ={"DATABASE_URL": "postgresql://x/y", "LOG_REDIS_URL": "redis://z"}
    ) as services:
        # The cache syncs once a second: no place for events.
        lax = services.environment()["REDIS_URL"]
        answer = runtime("doctor", "--home", str(tmp_path / "other"), COLUMNS="160", LOG_REDIS_URL=lax)
    assert answer.returncode == 1
    assert "a power cut loses acknowledged events" in answer.stdout


def test_a_password_reaches_libpq_by_its_variables():
    assert postgres_parts("postgresql://user:p%40ss@db.example:5433/aforo?sslmode=require") == {
        "PGHOST": "db.example",
        "PGPORT": "5433",
        "PGUSER": "user",
        "PGPASSWORD": "p@ss",
        "PGDATABASE": "aforo",
        "PGSSLMODE": "require",
    }
