"""What runs first inside bubblewrap: waits for work, and gives each piece a process that can reach nothing.

Two of these wait in each worker (see `tasks.sandbox`), one for programs and one for their tests, with the standard
modules already loaded. For each piece of work a fresh process is forked into namespaces of its own (processes, mounts,
IPC, host name), with an empty /tmp of its own, limits, no capabilities, a system-call filter, and no file open but its
channels. It has never seen other work; when it is done, everything it has started is killed with its namespace.
Written against the C library because nothing in Python's own mounts, drops capabilities or filters system calls.
"""

import contextlib
import ctypes
import gc
import json
import os
import platform
import resource
import select
import signal
import socket
import struct
import sys
from typing import Any, NoReturn

_NEW_PROCESSES = 0x20000000
_NEW_REST = 0x20000 | 0x08000000 | 0x04000000  # mounts, IPC, host name
_MANY_HANDLES = 1 << 16
_MS_PRIVATE, _MS_REC, _MS_NOSUID, _MS_NODEV = 1 << 18, 1 << 14, 2, 4
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_AMBIENT_CLEAR = 22, 38, 47, 4
_CAPABILITIES_VERSION = 0x20080522
_EPERM, _ENOSYS = 1, 38
_CLONE_NAMESPACES = 0x7E020080

_ALIKE = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "pidfd_getfd": 438,
    "mount_setattr": 442,
    "memfd_secret": 447,
}
_NAMES = [
    "socket",
    "shmget",
    "shmat",
    "shmctl",
    "msgget",
    "semget",
    "mq_open",
    "memfd_create",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "personality",
    "pivot_root",
    "chroot",
    "mount",
    "umount2",
    "unshare",
    "setns",
    "acct",
    "swapon",
    "reboot",
    "init_module",
    "finit_module",
    "delete_module",
    "quotactl",
    "kexec_load",
    "kexec_file_load",
    "add_key",
    "request_key",
    "keyctl",
    "perf_event_open",
    "fanotify_init",
    "name_to_handle_at",
    "open_by_handle_at",
    "bpf",
    "userfaultfd",
]
_NUMBERS = {
    "x86_64": "41 29 30 31 68 64 240 319 101 310 311 135 155 161 165 166 272 308 163 167 169 175 313 176 179 "
    "246 320 248 249 250 298 300 303 304 321 323",
    "aarch64": "198 194 196 195 186 190 180 279 117 270 271 92 41 51 40 39 97 268 89 224 142 105 273 106 60 "
    "104 294 217 218 219 241 262 264 265 280 282",
}
REFUSED = {
    machine: dict(zip(_NAMES, map(int, numbers.split()), strict=True)) | _ALIKE for machine, numbers in _NUMBERS.items()
}
"""System calls no program needs, by machine: they open sockets, hold memory that no limit counts, reach into other
processes, or are the kernel's less trodden paths."""
_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_CLONE = {"x86_64": (56, 435), "aarch64": (220, 435)}


def serve(control: socket.socket, role: Any, settings: dict[str, Any]) -> None:
    """Do one piece of work after another until the other end of `control` is closed.

    Each comes as file descriptors: the last is the stop, readable when the work is to end; the others are channels that
    `role` is called with. The answer, when everything of it is gone, is a line of JSON: "" or what failed at its start.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    here = os.pidfd_open(os.getpid())
    gc.collect()
    gc.freeze()
    control.send(b'""\n')
    while True:
        message, handles, _, _ = socket.recv_fds(control, 1, 4)
        if not message:
            return
        *channels, stop = handles
        begun, beginning = os.pipe()
        try:
            # The next process alone is born into a process namespace of its own; then this one's is the default again.
            _call(libc, libc.unshare, _NEW_PROCESSES)
            child = os.fork()
            if child == 0:
                _work(libc, role, settings, channels, beginning)
            _call(libc, libc.setns, here, _NEW_PROCESSES)
        except OSError as error:
            control.send(json.dumps(str(error)).encode() + b"\n")
            return
        for handle in (*channels, beginning):
            os.close(handle)
        _wait(child, stop)
        with open(begun, "rb") as report:
            said = report.read(2000).decode(errors="replace")
        os.close(stop)
        control.send(json.dumps(said).encode() + b"\n")


def _wait(child: int, stop: int) -> None:
    """Wait until the work ends or is to stop; then all of it is gone, as its process namespace goes with its first."""
    handle = os.pidfd_open(child)
    waiting = select.poll()
    waiting.register(stop, select.POLLIN | select.POLLHUP)
    waiting.register(handle, select.POLLIN)
    waiting.poll()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(handle)


def _work(libc: Any, role: Any, settings: dict[str, Any], channels: list[int], report: int) -> NoReturn:
    """Confine this process, then do the work. What failed before the work began is reported; it never returns."""
    try:
        nothing = os.open("/dev/null", os.O_RDWR)
        for standard in range(3):
            os.dup2(nothing, standard)
        start = 3
        for handle in [*sorted([*channels, report]), _MANY_HANDLES]:
            os.closerange(start, handle)
            start = handle + 1
        try:
            confine(libc, settings)
        except BaseException as error:
            os.write(report, f"{type(error).__name__}: {error}".encode())
            os._exit(0)
        os.close(report)
        role(*(socket.socket(fileno=channel) for channel in channels))
    finally:
        os._exit(0)


def confine(libc: Any, settings: dict[str, Any]) -> None:
    """Take everything from this process that it does not need. Nothing is given back.

    Raises:
        OSError: the system does not allow one of the steps.
    """
    os.setsid()  # a process group reaches across process namespaces: without one of its own, kill(0) would end the cell
    _call(libc, libc.unshare, _NEW_REST)
    _call(libc, libc.mount, None, b"/", None, _MS_REC | _MS_PRIVATE, None)
    options = f"size={settings['disk']},nr_inodes=1024,mode=1777".encode()
    _call(libc, libc.mount, b"tmpfs", b"/tmp", b"tmpfs", _MS_NOSUID | _MS_NODEV, options)
    os.chdir("/tmp")
    os.environ.clear()
    limits = {
        resource.RLIMIT_AS: settings["memory"],
        resource.RLIMIT_FSIZE: settings["file"],
        resource.RLIMIT_NPROC: settings["processes"],
        resource.RLIMIT_NOFILE: settings["handles"],
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))
    resource.setrlimit(resource.RLIMIT_CPU, (settings["cpu"], settings["cpu"] + 1))
    if settings["user"] is not None:
        os.setgroups([])
        os.setresgid(settings["user"], settings["user"], settings["user"])
        os.setresuid(settings["user"], settings["user"], settings["user"])
    libc.prctl(_PR_CAP_AMBIENT, _PR_AMBIENT_CLEAR, 0, 0, 0)
    header, none = struct.pack("=Ii", _CAPABILITIES_VERSION, 0), bytes(24)
    _call(libc, libc.capset, header, none)
    _call(libc, libc.prctl, _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _filter_system_calls(libc)


def _filter_system_calls(libc: Any) -> None:
    machine = platform.machine()
    code = system_call_filter(machine)
    held = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(held))
    _call(libc, libc.prctl, _PR_SET_SECCOMP, 2, ctypes.create_string_buffer(program, len(program)), 0, 0)


def system_call_filter(machine: str) -> bytes:
    """The filter as the kernel reads it (classic BPF, 8 bytes an instruction): refused calls fail with EPERM.

    Calls of another architecture's numbering end the process. New namespaces are refused in `clone`; `clone3`, whose
    arguments no filter can see, is said not to exist, and the C library falls back on `clone`.

    Raises:
        OSError: the machine's system calls are not known here.
    """
    if machine not in REFUSED:
        raise OSError(f"the sandbox does not know the system calls of {machine}; it knows {', '.join(REFUSED)}")
    clone, clone3 = _CLONE[machine]

    def step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("HBBI", code, yes, no, value)

    load, equal, at_least, any_bit, give = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, kill = 0x7FFF0000, 0x80000000
    refuse = 0x00050000
    steps = [
        step(load, 4),
        step(equal, _ARCHITECTURE[machine], 1, 0),
        step(give, kill),
        step(load, 0),
        step(at_least, 0x40000000, 0, 1),
        step(give, kill),
        step(equal, clone3, 0, 1),
        step(give, refuse | _ENOSYS),
    ]
    for number in REFUSED[machine].values():
        steps += [step(equal, number, 0, 1), step(give, refuse | _EPERM)]
    steps += [
        step(equal, clone, 0, 3),
        step(load, 16),
        step(any_bit, _CLONE_NAMESPACES, 0, 1),
        step(give, refuse | _EPERM),
        step(give, allow),
    ]
    return b"".join(steps)


def _call(libc: Any, function: Any, *arguments: Any) -> None:
    values = [ctypes.c_ulong(value) if isinstance(value, int) else value for value in arguments]
    if function(*values) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function.__name__}: {os.strerror(number)}")


def load_standard_modules(names: list[str]) -> None:
    """Import what programs often use, once, before work is forked. One that is not there is left out."""
    for name in names:
        with contextlib.suppress(ImportError):
            __import__(name)
    sys.setswitchinterval(0.005)
