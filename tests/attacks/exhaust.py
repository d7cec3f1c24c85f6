"""Using up what others need: memory, disk, descriptors, time."""

from __future__ import annotations

from .payload import attacks

BOUNDS = attacks(
    "exhaust",
    "reached",
    {
        "disk-many-files": """
            for number in range(30):
                with open(f"fill{number}", "wb") as file:
                    file.write(bytes(3 << 20))
            return W["done"]
        """,
        "disk-inodes": """
            os.mkdir("many")
            for number in range(1500):
                os.close(os.open(f"many/{number}", os.O_CREAT))
            return W["done"]
        """,
        "disk-unlinked": """
            import tempfile
            files = [tempfile.TemporaryFile() for _ in range(30)]
            for file in files:
                os.posix_fallocate(file.fileno(), 0, 3 << 20)
            return W["done"]
        """,
        "shm-files": """
            for number in range(30):
                fd = os.open("/dev/shm/" + W["mark"], os.O_CREAT | os.O_RDWR)
                os.unlink("/dev/shm/" + W["mark"])
                os.write(fd, bytes(3 << 20))
            return W["done"]
        """,
        "memory-in-memfds": """
            for number in range(40):
                os.write(syscall("memfd_create", b"x", 0), bytes(3 << 20))
            return W["done"]
        """,
        "memory-in-children": """
            for _ in range(2):
                if os.fork() == 0:
                    data = bytearray(150 << 20)
                    import time
                    time.sleep(1)
                    os._exit(len(data) & 1)
            for _ in range(2):
                if os.wait()[1]:
                    return None
            return W["done"]
        """,
        "sysv-memory": """
            number = syscall("shmget", 0, 64 << 20, 0o1600)
            syscall("shmctl", number, 0, 0)
            return W["done"]
        """,
    },
)
HELD = attacks(
    "exhaust",
    "reached",
    {
        "memory-list": """
            keep = []
            for _ in range(500):
                keep.append(bytearray(1 << 20))
            return W["done"]
        """,
        "memory-mmap": """
            import mmap
            page = mmap.mmap(-1, 500 << 20)
            for i in range(0, len(page), 4096):
                page[i] = 1
            return W["done"]
        """,
        "memory-shared-mmap": """
            import mmap
            pages = [mmap.mmap(-1, 100 << 20, mmap.MAP_SHARED) for _ in range(5)]
            return W["done"]
        """,
        "memory-big-int": 'return len(bin(1 << (4 << 30))) and W["done"]',
        "memory-string": 'return len("x" * (500 << 20)) and W["done"]',
        "descriptors": """
            files = [os.dup(1) for _ in range(2000)]
            return W["done"]
        """,
        "disk-one-file": """
            with open("fill", "wb") as file:
                for _ in range(20):
                    file.write(bytes(1 << 20))
            return W["done"]
        """,
        "disk-sparse": """
            with open("fill", "wb") as file:
                file.truncate(1 << 30)
            return W["done"]
        """,
        "disk-by-seek": """
            with open("fill", "wb") as file:
                file.seek(1 << 33)
                file.write(b"x")
            return W["done"]
        """,
        "locked-memory": """
            import mmap, ctypes
            page = mmap.mmap(-1, 64 << 20)
            address = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(page)))
            return libc().mlock(address, ctypes.c_size_t(64 << 20)) == 0 and W["mark"] == "" and W["done"]
        """,
        "c-stack": """
            sys.setrecursionlimit(1 << 30)
            def down(n):
                return down(n + 1)
            down(0)
        """,
        "c-recursion": """
            sys.setrecursionlimit(1 << 30)
            deep = []
            for _ in range(200000):
                deep = [deep]
            repr(deep)
        """,
        "regular-expression": """
            re.match("(a+)+$", "a" * 40 + "b")
        """,
        "flood-stdout": """
            while True:
                os.write(1, b"x" * 65536)
        """,
        "flood-stderr": """
            while True:
                os.write(2, b"x" * 65536)
        """,
        "flood-print": """
            while True:
                print("x" * 65536)
        """,
        "flood-lines": """
            for _ in range(3_000_000):
                print()
        """,
        "flood-every-descriptor": """
            for fd in range(0, 256):
                try:
                    os.set_blocking(fd, False)
                    for _ in range(200):
                        os.write(fd, b"x" * 65536)
                except OSError:
                    pass
        """,
    },
)
TIME = attacks(
    "time",
    "hung",
    {
        "busy": """
            while True:
                pass
        """,
        "busy-in-c": """
            import itertools
            sum(itertools.repeat(0))
        """,
        "sleep": """
            import time
            time.sleep(3600)
        """,
        "stopped": "os.kill(os.getpid(), 19)",
        "deaf-to-sigxcpu": """
            import signal
            signal.signal(signal.SIGXCPU, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                pass
        """,
        "blocked-signals": """
            import signal
            signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
            while True:
                pass
        """,
        "swallowed": """
            while True:
                try:
                    while True:
                        pass
                except BaseException:
                    pass
        """,
        "many-alarms": """
            import signal, time
            signal.signal(signal.SIGALRM, lambda *_: None)
            signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
            while True:
                time.sleep(1)
        """,
        "wait-for-input": "sys.stdin.read(); os.read(0, 1)",
        "threads-in-turn": """
            import threading, time
            def turn():
                end = time.monotonic() + 3600
                while time.monotonic() < end:
                    pass
            for _ in range(3):
                threading.Thread(target=turn, daemon=True).start()
            time.sleep(3600)
        """,
        "slow-exit": """
            import atexit, threading, time
            atexit.register(time.sleep, 3600)
            class Slow:
                def __del__(self):
                    while True:
                        pass
            sys.modules["slow"] = Slow()
            threading.Thread(target=time.sleep, args=(3600,)).start()
            return "left slowly"
        """,
    },
)
PAYLOADS = (*BOUNDS, *HELD, *TIME)
