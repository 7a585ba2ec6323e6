"""A line to a site's Redis: scripts are sent over a connection that belongs to the calling thread alone.

The client's pool, which takes, looks at and puts back a connection for each command, is a third of a decision's processor time.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from hiredis import pack_command
from redis import ConnectionError as ConnectionLost
from redis import Redis
from redis.commands.core import Script
from redis.exceptions import NoScriptError


class Line:
    """Safe between threads; a thread's connection ends with the thread."""

    def __init__(self, redis: Redis) -> None:
        self._pool = redis.connection_pool
        self._own = threading.local()

    def run(self, script: Script, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        """What the script returns. Raises redis.RedisError."""
        connection = self.connection()
        was_open = connection.is_connected
        try:
            return _answer(connection, script, keys, args)
        except ConnectionLost:
            if not was_open:
                raise
            # The server was started anew since. Should it have run the script before, units are reserved twice and the first
            # of the two expires: too few are admitted for a while, and never too many.
            return _answer(connection, script, keys, args)

    def connection(self) -> Any:
        """The calling thread's own connection."""
        connection = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = self._pool.connection_class(**self._pool.connection_kwargs)
        return connection


def _answer(connection: Any, script: Script, keys: Sequence[str], args: Sequence[str | int]) -> Any:
    call = (len(keys), *keys, *args)
    connection.send_packed_command([pack_command(("EVALSHA", script.sha, *call))])
    try:
        return connection.read_response()
    except NoScriptError:
        connection.send_packed_command([pack_command(("EVAL", script.script, *call))])
        return connection.read_response()
