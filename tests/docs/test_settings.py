"""docs/settings.md names every variable that is read, and no other."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
READ = re.compile(r"""(?:\benv(?:\.\w+)?\(|environ\.get\(|environ\[)\s*"([A-Z][A-Z_]+)\"""")
# Set by Aforo itself for its own processes, or somebody else's.
NOT_SETTINGS = {"DJANGO_SETTINGS_MODULE", "PYTHONPATH", "ENDED"}
# A WSGI request's own dictionary has the same name as the process's.
WSGI = {ROOT / "aforo" / "hot.py", ROOT / "entitlements" / "edge" / "server.py"}


def test_every_variable_that_is_read_is_documented_and_no_other():
    sources = {
        path
        for folder in ("aforo", "metering", "entitlements", "billing")
        for path in (ROOT / folder).rglob("*.py")
    }
    read = {name for path in sources - WSGI for name in READ.findall(path.read_text())} - NOT_SETTINGS
    assert {"DATABASE_URL", "PORT", "AFORO_HOME"} <= read
    document = (ROOT / "docs" / "settings.md").read_text()
    first_cells = re.findall(r"^\| (`[^|]+) \|", document, re.MULTILINE)
    documented = set(re.findall(r"`(\w+)`", " ".join(first_cells)))
    assert read - documented == set()
    assert documented - read <= {"PYTHON", "TEST_REDIS_URL", "TEST_LOG_REDIS_URL", "FAULT_TIMES"}
