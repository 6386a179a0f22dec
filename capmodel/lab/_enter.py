"""Enters a network namespace, then becomes what runs inside; a script that needs Python alone.

It runs before any library is loaded, because a process with threads cannot make a user namespace.
Reads one JSON object from its first argument; whatever it cannot do it says on standard output as
one line of JSON, which is where the caller reads the first answer.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
from typing import Any

# linux/sched.h, linux/mount.h, linux/prctl.h, linux/capability.h
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
MS_REC_PRIVATE = 0x4000 | 0x40000
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 47, 2
CAPABILITY_VERSION = 0x20080522

# numerical libraries start threads of their own, and a process with threads should not fork
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _unshare(flags: int) -> None:
    _checked(_libc.unshare(flags), "unshare")


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def end_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends.

    Parameters
    ----------
    parent : int
        The process that started it, in case that has ended already.
    """
    _checked(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    if os.getppid() != parent:
        os._exit(1)


def outlive_parent() -> None:
    """Take back what :func:`end_with_parent` asked for."""
    _checked(_libc.prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0), "prctl")


def set_name(name: str) -> None:
    """Name this process for ps and top.

    Parameters
    ----------
    name : str
        Fifteen letters at most are kept.
    """
    _libc.prctl(PR_SET_NAME, name.encode(), 0, 0, 0)


def _keep_rights() -> None:
    """Let programs started from here keep the rights that this process has in its namespaces."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable, low words and high ones
    _checked(_libc.capget(header, sets), "capget")
    sets[2], sets[5] = sets[1], sets[4]
    _checked(_libc.capset(header, sets), "capset")
    rights = sets[1] | sets[4] << 32
    for right in range(64):
        if rights >> right & 1:
            _checked(_libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, right, 0, 0), "prctl")


def _own_system_files() -> bool:
    """Mount the new namespace's own /sys, where that is allowed."""
    try:
        _checked(_libc.mount(b"none", b"/", None, MS_REC_PRIVATE, None), "mount")
        _checked(_libc.mount(b"sysfs", b"/sys", b"sysfs", 0, None), "mount")
    except OSError:
        return False
    return True


def make() -> dict[str, Any]:
    """Leave the host's network for a new one.

    Returns
    -------
    dict
        ``privileged``: whether without a user namespace; ``system_files``: whether /sys is its own.
    """
    host = os.readlink("/proc/self/ns/net")
    privileged = True
    try:
        _unshare(CLONE_NEWNET | CLONE_NEWNS)
    except PermissionError:
        privileged = False
        user, group = os.geteuid(), os.getegid()
        _unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS)
        _write("/proc/self/setgroups", "deny")
        # under the same numbers: programs that find themselves root try to become someone else
        _write("/proc/self/uid_map", f"{user} {user} 1")
        _write("/proc/self/gid_map", f"{group} {group} 1")
        _keep_rights()
    return {"host": host, "privileged": privileged, "system_files": _own_system_files()}


def join(pid: int, privileged: bool) -> None:
    """Enter the namespaces of another process.

    Parameters
    ----------
    pid : int
        The process.
    privileged : bool
        Whether it has no user namespace of its own.
    """
    kinds = ([] if privileged else ["user"]) + ["net", "mnt"]
    folders = [os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY) for kind in kinds]
    here = os.getcwd()
    for descriptor in folders:
        _checked(_libc.setns(descriptor, 0), "setns")
        os.close(descriptor)
    os.chdir(here)  # a mount namespace is entered at its root
    if not privileged:
        _keep_rights()


def _stay(order: dict[str, Any], found: dict[str, Any]) -> None:
    """Be the process inside: libraries may load from here on."""
    found["environment"] = dict(os.environ)  # what programs started inside are to see
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    sys.path[:] = order["path"]
    importlib.import_module(order["serve"]).main(found)


def _main() -> None:
    order = json.loads(sys.argv[1])
    make_one = order["action"] == "make"
    try:
        found: dict[str, Any] = {}
        if make_one:
            found = make()
        else:
            join(order["pid"], order["privileged"])
        end_with_parent(order["parent"])
        if not make_one:
            os.execvp(order["command"][0], order["command"])
    except OSError as error:
        if make_one:
            print(json.dumps({"refused": error.strerror or str(error), "errno": error.errno}))
            sys.stdout.flush()
        else:
            print(f"{order['command'][0]}: {error}", file=sys.stderr)
        os._exit(127)
    _stay(order, found)


if __name__ == "__main__":
    _main()
