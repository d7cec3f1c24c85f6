"""Processes that outlive the run, and many of them."""

from __future__ import annotations

from .payload import attacks

SURVIVE = attacks(
    "leave processes",
    "survived",
    {
        "setsid": """
            if os.fork() == 0:
                os.setsid()
                mark()
        """,
        "daemon": """
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    for fd in range(256):
                        try:
                            os.close(fd)
                        except OSError:
                            pass
                    mark()
                os._exit(0)
        """,
        "new-session": """
            import subprocess
            code = f"import ctypes, time; ctypes.CDLL(None).prctl(15, {W['mark'].encode()!r}); time.sleep(25)"
            subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
        """,
        "posix-spawn-session": """
            code = f"import ctypes, time; ctypes.CDLL(None).prctl(15, {W['mark'].encode()!r}); time.sleep(25)"
            os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ, setsid=True)
        """,
        "deaf": """
            import signal
            if os.fork() == 0:
                os.setsid()
                for number in range(1, 65):
                    try:
                        signal.signal(number, signal.SIG_IGN)
                    except (OSError, ValueError):
                        pass
                mark()
        """,
        "raw-clone": """
            pid = syscall("clone", 17, 0, 0, 0, 0)
            if pid == 0:
                os.setsid()
                mark()
        """,
        "raw-clone3": """
            import ctypes
            args = (ctypes.c_uint64 * 8)(0, 0, 0, 0, 17, 0, 0, 0)
            if syscall("clone3", args, 64) == 0:
                os.setsid()
                mark()
        """,
        "clone-parent": """
            if syscall("clone", 0x8000 | 17, 0, 0, 0, 0) == 0:
                os.setsid()
                mark()
        """,
        "forkpty": """
            import pty
            if pty.fork()[0] == 0:
                mark()
        """,
        "multiprocessing": """
            import multiprocessing
            def child():
                os.setsid()
                mark()
            multiprocessing.get_context("fork").Process(target=child, daemon=False).start()
        """,
        "fork-while-dying": """
            import atexit
            def last():
                if os.fork() == 0:
                    os.setsid()
                    mark()
            class Dying:
                def __del__(self):
                    last()
            sys.modules["dying"] = Dying()
            atexit.register(last)
            Dying()
        """,
        "fork-chain": """
            import time
            if os.fork() == 0:
                os.setsid()
                for _ in range(40):
                    time.sleep(0.05)
                    if os.fork():
                        os._exit(0)
                mark(15)
        """,
        "untied-from-parent": """
            if os.fork() == 0:
                libc().prctl(1, 0, 0, 0, 0)
                libc().prctl(36, 1, 0, 0, 0)
                os.setsid()
                mark()
        """,
        "holding-the-pipes": """
            if os.fork() == 0:
                os.setsid()
                os.write(1, b"still here")
                mark()
        """,
    },
    honest=True,
)
INSIDE = attacks(
    "leave processes",
    "survived",
    {
        "thread": """
            import threading
            threading.Thread(target=mark).start()
        """,
        "daemon-thread": """
            import threading
            threading.Thread(target=mark, daemon=True).start()
        """,
        "thread-after-exit": """
            import threading
            import time
            def outlive():
                os._exit = lambda *status: None
                libc().prctl(15, W["mark"].encode(), 0, 0, 0)
                while True:
                    time.sleep(1)
            threading.Thread(target=outlive).start()
        """,
        "leader-gone": """
            import ctypes, threading, time
            threading.Thread(target=mark).start()
            time.sleep(0.1)
            ctypes.CDLL(None).syscall(60 if os.uname().machine == "x86_64" else 93, 0)
        """,
        "group-stopped": """
            import signal
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            libc().prctl(15, W["mark"].encode(), 0, 0, 0)
            os.kill(os.getpid(), signal.SIGSTOP)
        """,
    },
    honest=True,
)
MANY = attacks(
    "exhaust",
    "reached",
    {
        "fork-bomb": """
            import time
            made = 0
            try:
                for _ in range(72):
                    if os.fork() == 0:
                        time.sleep(2)
                        os._exit(0)
                    made += 1
            except OSError:
                pass
            return made > 64 and W["done"]
        """,
        "thread-bomb": """
            import threading
            threading.stack_size(1 << 16)
            stop, made = threading.Event(), 0
            try:
                for _ in range(3000):
                    threading.Thread(target=stop.wait, args=(5,), daemon=True).start()
                    made += 1
            except RuntimeError:
                pass
            stop.set()
            return made > 2000 and W["done"]
        """,
        "burn-cores": """
            for _ in range(3):
                if os.fork() == 0:
                    while True:
                        pass
            return W["done"]
        """,
        "lower-nice": """
            os.nice(-5)
            return W["done"]
        """,
        "real-time": """
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
            return W["done"]
        """,
        "raise-limits": """
            import resource
            soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
            resource.setrlimit(resource.RLIMIT_CPU, (hard + 1000, hard + 1000))
            return W["done"]
        """,
        "raise-memory-limit": """
            import resource
            resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
            return W["done"]
        """,
    },
)
PAYLOADS = (*SURVIVE, *INSIDE, *MANY)
