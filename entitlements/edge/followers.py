"""Who follows the change feed over HTTP: of each key, when it last had everything.

Kept in the central site's Redis for a day and nowhere else: it is for people to look at, and no decision rests on it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from redis import RedisError

from aforo.kernel.clock import now
from aforo.tenancy.models import Tenant

from ..records import milliseconds
from . import layout
from .central import central_store

KEPT = timedelta(days=1)


def follower_note(tenant: Tenant, key_id: str) -> None:
    """Whoever asks with this key has every record as of now. A Redis that does not answer keeps no note."""
    name = layout.followers_key(tenant.path)
    try:
        with central_store().redis.pipeline(transaction=False) as pipeline:
            pipeline.hset(name, key_id, milliseconds(now()))
            pipeline.expire(name, KEPT)
            pipeline.execute()
    except RedisError:
        # The feed itself is the store's.
        pass


def followers_of(tenant: Tenant) -> dict[str, datetime]:
    """The keys by id, each with the instant of its last note; of the last day.

    Raises redis.RedisError where the site does not answer.
    """
    found = central_store().redis.hgetall(layout.followers_key(tenant.path))
    followers = {key.decode(): datetime.fromtimestamp(int(at_ms) / 1000, UTC) for key, at_ms in found.items()}
    return {key: at for key, at in followers.items() if now() - at < KEPT}
