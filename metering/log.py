"""The durable log: where a submission is on disk before its sender reads 202.

log     one entry in the Redis stream of the tenant's shard, fsynced before it is answered
store   one row, inserted synchronously, where the log does not answer
spool   a file on this host, where the operator configured a folder and the store does not answer either

Whatever fails after it was sent may have been kept all the same; the next step then keeps a second copy with the same
intake id, which the writer knows from a client's retry.
"""

from __future__ import annotations

from typing import Literal

from .event import Submission

# As the header Aforo-Durability says it. "log-everysec": the operator allowed a log that a power cut may rob of its last second.
Durability = Literal["log", "log-everysec", "store", "spool"]


def append(submission: Submission) -> Durability:
    """Keep a submission and return once it is on disk; the writer makes rows of it.

    Raises Problem("storage_unavailable") with retry_after_s where nothing durable can be reached, or where the writer
    is so far behind that the log is full.
    """
    raise NotImplementedError
