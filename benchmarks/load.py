"""The load generator: HTTP over kept-alive loopback connections, open loop or as fast as it goes.

Open loop: requests are due at times laid out beforehand, at random as independent callers come, and a latency counts
from the time a request was due, not from the time a connection was free for it. A server that stalls is charged for
everyone who waited.
"""

from __future__ import annotations

import math
import random
import selectors
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

CONNECTIONS = 16


@dataclass(slots=True)
class Result:
    """What one run saw.

    latencies_s, server_ms: one an answer, sorted; as the sender saw it, and as the header Server-Timing says.
    answered_s: when each answer came, by time.perf_counter. statuses: answers by status. seconds: wall time.
    """

    latencies_s: list[float]
    statuses: dict[int, int]
    seconds: float
    server_ms: list[float] = field(default_factory=list)
    answered_s: list[float] = field(default_factory=list)

    @property
    def rate_per_s(self) -> float:
        return len(self.latencies_s) / self.seconds

    def percentile_ms(self, percent: float) -> float:
        return percentile(self.latencies_s, percent) * 1000


def percentile(ordered: list[float], percent: float) -> float:
    """Nearest rank of an ascending list; 0 of an empty one."""
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def post(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """A whole HTTP/1.1 request."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class _Connection:
    __slots__ = ("buffer", "due_s", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.due_s = 0.0

    def send(self, request: bytes, due_s: float) -> None:
        self.due_s = due_s
        self.socket.sendall(request)

    def receive(self) -> tuple[int, bytes] | None:
        """Status and head of the answer once it is whole."""
        data = self.socket.recv(262_144)
        if not data:
            raise ConnectionError("the server closed a kept-alive connection")
        self.buffer += data
        head, separator, body = self.buffer.partition(b"\r\n\r\n")
        if not separator:
            return None
        lower = head.lower()
        at = lower.find(b"content-length:")
        length = int(lower[at + 15 : (lower + b"\r\n").index(b"\r\n", at)]) if at >= 0 else 0
        if len(body) < length:
            return None
        self.buffer = body[length:]
        return int(head[9:12]), head


def run(
    port: int,
    request: Callable[[int], bytes],
    *,
    seconds: float,
    connections: int,
    rate_per_s: float | None = None,
) -> Result:
    """Send for *seconds*; request(i) is the i-th request whole.

    rate_per_s: of due times, whose gaps are exponential and the same in every run; None sends on every connection as
        soon as it is free (closed loop).
    Requests that are due but unanswered at the end are waited for, up to 10 seconds.
    """
    selector = selectors.DefaultSelector()
    idle = deque(_Connection(port) for _ in range(connections))
    for connection in idle:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    latencies: list[float] = []
    server_ms: list[float] = []
    answered: list[float] = []
    statuses: dict[int, int] = {}
    clock = time.perf_counter
    start = clock()
    end = start + seconds
    sent = 0
    due_s = None if rate_per_s is None else _due_times(seconds, rate_per_s)
    while True:
        at = clock()
        while idle:
            if due_s is None:
                if at >= end:
                    break
                due = at
            else:
                if sent >= len(due_s):
                    break
                due = start + due_s[sent]
                if due > at:
                    break
            connection = idle.popleft()
            connection.send(request(sent), due)
            sent += 1
        busy = connections - len(idle)
        is_over = at >= end if due_s is None else sent >= len(due_s)
        if is_over and (busy == 0 or at > end + 10):
            break
        wait = 0.05
        if not is_over and idle and due_s is not None:
            wait = max(0.0, start + due_s[sent] - clock())
        if wait < 0.001:
            # epoll counts in whole milliseconds and would send late; a short sleep does not.
            time.sleep(min(wait, 0.0001))
            wait = 0.0
        for key, _ in selector.select(wait):
            connection = key.data
            answer = connection.receive()
            if answer is None:
                continue
            answered.append(clock())
            latencies.append(answered[-1] - connection.due_s)
            status, head = answer
            statuses[status] = statuses.get(status, 0) + 1
            at_timing = head.find(b"dur=")
            if at_timing >= 0:
                server_ms.append(float(head[at_timing + 4 :].split(b"\r\n", 1)[0].split(b",", 1)[0]))
            idle.append(connection)
    seconds_taken = clock() - start
    for key in list(selector.get_map().values()):
        key.data.socket.close()
    latencies.sort()
    server_ms.sort()
    return Result(latencies, statuses, seconds_taken, server_ms, answered)


def answered(
    port: int,
    requests: Sequence[bytes],
    *,
    seconds: float,
    rate_per_s: float | None = None,
    connections: int = CONNECTIONS,
) -> Result:
    """Send these, one after the other and from the start again; raises RuntimeError where one is not let in."""
    result = run(
        port,
        lambda number: requests[number % len(requests)],
        seconds=seconds,
        connections=connections,
        rate_per_s=rate_per_s,
    )
    if refused := result.statuses.keys() - {200, 202}:
        raise RuntimeError(f"requests were answered {sorted(refused)}")
    return result


def together(results: Sequence[Result]) -> Result:
    """Several runs as if they were one."""
    statuses: Counter[int] = Counter()
    for one in results:
        statuses.update(one.statuses)
    return Result(
        sorted(latency for one in results for latency in one.latencies_s),
        dict(statuses),
        sum(one.seconds for one in results),
        sorted(taken for one in results for taken in one.server_ms),
        [at for one in results for at in one.answered_s],
    )


def once(port: int, request: bytes) -> int:
    """Send one request and return the status of its answer."""
    connection = _Connection(port)
    connection.send(request, 0.0)
    while (answer := connection.receive()) is None:
        pass
    connection.socket.close()
    return answer[0]


def _due_times(seconds: float, rate_per_s: float) -> list[float]:
    chance = random.Random(1)
    times = [chance.expovariate(rate_per_s)]
    while times[-1] < seconds:
        times.append(times[-1] + chance.expovariate(rate_per_s))
    return times[:-1]
