"""Signals to others, and other ways to touch a process."""

from __future__ import annotations

from .payload import attacks

SIGNALS = attacks(
    "signals",
    "tampered",
    {
        "kill-bystander": 'os.kill(W["bystander"], 9)',
        "stop-bystander": 'os.kill(W["bystander"], 19)',
        "terminate-bystander": 'os.kill(W["bystander"], 15)',
        "tgkill-bystander": 'syscall("tgkill", W["bystander"], W["bystander"], 9)',
        "pidfd-kill-bystander": """
            import signal
            signal.pidfd_send_signal(os.pidfd_open(W["bystander"]), 9)
        """,
        "queue-kill-bystander": """
            import ctypes
            info = (ctypes.c_int * 32)(9, 0, -1)
            syscall("rt_sigqueueinfo", W["bystander"], 9, info)
        """,
        "signal-by-owner": """
            import fcntl
            r, w = os.pipe()
            fcntl.fcntl(r, fcntl.F_SETOWN, W["bystander"])
            fcntl.fcntl(r, 10, 9)
            fcntl.fcntl(r, fcntl.F_SETFL, fcntl.fcntl(r, fcntl.F_GETFL) | os.O_ASYNC)
            os.write(w, b"x")
        """,
        "kill-by-shell": "os.system(f\"kill -9 {W['bystander']}\")",
        "kill-in-a-thread": """
            import threading
            thread = threading.Thread(target=os.kill, args=(W["bystander"], 9))
            thread.start()
            thread.join()
        """,
        "nice-bystander": 'os.setpriority(os.PRIO_PROCESS, W["bystander"], 15)',
        "pin-bystander": 'os.sched_setaffinity(W["bystander"], {min(os.sched_getaffinity(0))})',
        "idle-bystander": 'os.sched_setscheduler(W["bystander"], os.SCHED_IDLE, os.sched_param(0))',
        "limit-bystander": """
            import resource
            resource.prlimit(W["bystander"], resource.RLIMIT_NOFILE, (50, 100))
        """,
        "attach-bystander": """
            syscall("ptrace", 16, W["bystander"], 0, 0)
            mark(3)
        """,
    },
)
DRIVER = attacks(
    "signals",
    "killed",
    {
        "kill-driver": 'os.kill(W["driver"], 9)',
        "stop-driver": 'os.kill(W["driver"], 19)',
        "interrupt-driver": 'os.kill(W["driver"], 2)',
        "kill-driver-group": 'os.killpg(W["driver"], 9)',
        "kill-ancestors": """
            for pid in ancestors():
                os.kill(pid, 9)
        """,
        "stop-ancestors": """
            for pid in reversed(ancestors()):
                os.kill(pid, 19)
        """,
        "kill-parent": "os.kill(os.getppid(), 9)",
        "stop-parent": "os.kill(os.getppid(), 19)",
        "crash-parent": "os.kill(os.getppid(), 11)",
    },
)
PROBES = attacks(
    "signals",
    "reached",
    {
        "everybody": """
            os.kill(-1, 0)
            return W["done"]
        """,
        "neighbours": """
            me = os.getpid()
            for pid in range(max(2, me - 300), me + 50):
                try:
                    if pid != me:
                        os.kill(pid, 0)
                        return W["done"]
                except OSError:
                    pass
        """,
        "parent": """
            os.kill(os.getppid(), 0)
            return W["done"]
        """,
        "own-limits-by-pid": """
            import resource
            resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE)
            return W["done"]
        """,
    },
)
PAYLOADS = (*SIGNALS, *DRIVER, *PROBES)
