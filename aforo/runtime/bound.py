"""How every child begins: bound to its parent's life, under the right account, then replaced by the command.

    python -I -S bound.py PARENT SIGNAL ACCOUNT COMMAND [ARGUMENT ...]

PARENT: the pid that started us.
SIGNAL: what the kernel sends the command when PARENT dies, `kill -9` included.
ACCOUNT: `same`; `namespace` (root seen as uid 1000 in a user namespace of its own: PostgreSQL refuses
to run as root, and files stay root's); `nobody` (uid 65534, where user namespaces are refused).

A program of its own and not a preexec function: those may deadlock in a supervisor that has threads.
Standard library only, and it imports nothing of ours: it must run under -I -S.
Exit 126 if the account cannot be had, 127 if the command cannot be run.
"""

import ctypes
import os
import signal
import sys

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
NAMESPACE_ID = 1000
NOBODY_ID = 65534


def namespace_enter() -> None:
    """Enter a user namespace in which the present account has uid and gid 1000; OSError when refused."""
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"user namespace refused: {os.strerror(code)}")
    # The kernel takes a gid map from a process without privilege only once setgroups is given up.
    for name, text in (
        ("setgroups", "deny"),
        ("gid_map", f"{NAMESPACE_ID} {gid} 1"),
        ("uid_map", f"{NAMESPACE_ID} {uid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def nobody_become() -> None:
    """Drop to uid and gid 65534 for good; OSError without the privilege."""
    os.setgroups([])
    os.setresgid(NOBODY_ID, NOBODY_ID, NOBODY_ID)
    os.setresuid(NOBODY_ID, NOBODY_ID, NOBODY_ID)


def parent_bind(parent: int, signal_number: int) -> None:
    """Ask for `signal_number` at the parent's death; Linux only, elsewhere the next start cleans up."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    # It may have died between our birth and the call above; then no signal would ever come.
    if os.getppid() != parent:
        sys.exit(0)


def main() -> None:
    """Bind, change account, exec; does not return."""
    parent, signal_name, account, *command = sys.argv[1:]
    # Python ignores these two from its start, and an ignored signal stays ignored through exec;
    # a shell that starts us in the background may have ignored SIGINT, PostgreSQL's order to shut down.
    for name in ("SIGPIPE", "SIGXFSZ", "SIGINT"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        if account == "namespace":
            namespace_enter()
        elif account == "nobody":
            nobody_become()
    except OSError as error:
        sys.stderr.write(f"account {account}: {error}\n")
        sys.exit(126)
    # After the change of account, which clears the setting.
    parent_bind(int(parent), getattr(signal, signal_name))
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    main()
