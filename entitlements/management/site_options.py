"""What the commands of a gateway's site are told: the origin, the key for it, and the folder in which events wait."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser


def site_options_add(parser: CommandParser) -> None:
    """Add --endpoint, --api-key and --spool, each also read from the environment."""
    environ = os.environ
    parser.add_argument(
        "--endpoint", default=environ.get("AFORO_EDGE_ENDPOINT"), help="address of the origin's API"
    )
    parser.add_argument(
        "--api-key",
        default=environ.get("AFORO_EDGE_API_KEY"),
        help="a key with the scopes edge and ingest",
    )
    parser.add_argument(
        "--spool", default=environ.get("AFORO_EDGE_SPOOL_DIR"), help="folder of events that wait"
    )


def options_demand(options: Mapping[str, Any], *names: str) -> None:
    """Raises CommandError that says which of these options are missing."""
    missing = [f"--{name.replace('_', '-')}" for name in names if not options[name]]
    if missing:
        raise CommandError(f"Say {', '.join(missing)}.")
