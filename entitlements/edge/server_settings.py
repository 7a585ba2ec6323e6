"""What an agent tells its web server, by the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SPOOL_BYTES_MAX = 1024**3


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What the agent tells its server."""

    edge: str
    redis_url: str
    spool: Path
    spool_bytes_max: int

    def environment(self) -> dict[str, str]:
        return {
            "AFORO_EDGE_NAME": self.edge,
            "AFORO_EDGE_REDIS_URL": self.redis_url,
            "AFORO_EDGE_SPOOL_DIR": str(self.spool),
            "AFORO_EDGE_SPOOL_BYTES_MAX": str(self.spool_bytes_max),
        }


def settings_of(environ: Mapping[str, str]) -> ServerSettings:
    return ServerSettings(
        edge=environ["AFORO_EDGE_NAME"],
        redis_url=environ["AFORO_EDGE_REDIS_URL"],
        spool=Path(environ["AFORO_EDGE_SPOOL_DIR"]),
        spool_bytes_max=int(environ["AFORO_EDGE_SPOOL_BYTES_MAX"]),
    )
