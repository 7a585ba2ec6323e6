"""decide.json, the vectors of decisions, made from the code that they describe.

    python -m gateways.conformance.generate            writes it anew
    python -m gateways.conformance.generate --check    exits 1 where it is out of date

docs/edge/vectors.md says how a client in another language is held to it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from aforo.kernel.errors import PROBLEMS
from entitlements.edge import layout
from entitlements.edge.store import SCHEMA
from entitlements.refusals import CODES

from .selection import vectors
from .steps import TENANT
from .vector import Fields, Names

FILE = Path(__file__).with_name("decide.json")


def text() -> str:
    """What vectors share stands once, before them; a vector a line."""
    names: list[Names] = []
    tenants: list[Fields] = []
    lines = []
    for number, vector in enumerate(vectors(), 1):
        line = {
            "number": number,
            "name": vector.name,
            "names": _index(names, vector.names),
        }
        if "ask" in vector.document:
            line["tenant"] = None if vector.tenant is None else _index(tenants, vector.tenant)
        lines.append(_json(line | vector.document))
    shared = {
        "schema": SCHEMA,
        "meta_key": layout.META,
        "wants_key": layout.WANTS,
        "names": [
            {"tenant": one.tenant, "customer": one.customer, "feature": one.feature, "keys": one.keys()}
            for one in names
        ],
        "tenant_key": layout.tenant_key(TENANT),
        "tenants": tenants,
        "problems": {
            code: {
                "type": problem.uri,
                "title": problem.title,
                "status": problem.status,
                "remedy": problem.remedy,
            }
            for code, problem in PROBLEMS.items()
            if code in CODES.values()
        },
    }
    head = ",\n".join(f"{_json(name)}: {_json(value)}" for name, value in shared.items())
    body = ",\n".join(lines)
    return f'{{{head},\n"vectors": [\n{body}\n]}}\n'


def _index(found: list[Any], one: Any) -> int:
    if one not in found:
        found.append(one)
    return found.index(one)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def main(is_check: bool) -> int:
    made = text()
    if not is_check:
        FILE.write_text(made)
    elif FILE.read_text() != made:
        sys.stderr.write(f"{FILE.name} is out of date; run: make docs\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
