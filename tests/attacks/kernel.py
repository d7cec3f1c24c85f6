"""The kernel's wider surface: what no program of an exercise needs."""

from __future__ import annotations

from .payload import attacks

SURFACE = attacks(
    "kernel surface",
    "reached",
    {
        "user-namespace": """
            syscall("unshare", 0x10000000)
            return W["done"]
        """,
        "clone-user-namespace": """
            pid = syscall("clone", 0x10000000 | 17, 0, 0, 0, 0)
            if pid == 0:
                os._exit(0)
            return W["done"]
        """,
        "keyring-add": """
            return syscall("add_key", b"user", W["mark"].encode(), b"x", 1, -1) and W["done"]
        """,
        "keyring-session": 'return syscall("keyctl", 0, -3, 1) and W["done"]',
        "userfaultfd": 'return syscall("userfaultfd", 1) and W["done"]',
        "memfd": 'return syscall("memfd_create", b"x", 0) and W["done"]',
        "memfd-exec": """
            import subprocess
            fd = syscall("memfd_create", b"x", 0)
            with open("/bin/true", "rb") as file:
                os.write(fd, file.read())
            return subprocess.run([f"/proc/self/fd/{fd}"], pass_fds=[fd]).returncode == 0 and W["done"]
        """,
        "execve": """
            r, w = os.pipe()
            if os.fork() == 0:
                os.dup2(w, 1)
                os.execv("/bin/sh", ["sh", "-c", "echo ran"])
            return os.read(r, 9) and W["done"]
        """,
        "exec-program-file": """
            import subprocess
            with open("run", "w") as file:
                file.write("#!/bin/sh\\ntrue")
            os.chmod("run", 0o755)
            return subprocess.run(["./run"]).returncode == 0 and W["done"]
        """,
        "personality": """
            return syscall("personality", 0x0040000) >= 0 and W["done"]
        """,
        "posix-queue": """
            syscall("mq_open", b"repoagent-" + W["mark"].encode(), 0o102, 0o600, 0)
            libc().mq_unlink(b"/repoagent-" + W["mark"].encode())
            return W["done"]
        """,
        "io-priority": 'return syscall("ioprio_set", 1, 0, 3 << 13) == 0 and W["done"]',
        "legacy-calls": """
            import ctypes, mmap
            if os.uname().machine != "x86_64":
                return W["done"]
            page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
            page.write(b"\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3")
            call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
            return call() > 0 and W["done"]
        """,
        "own-seccomp-listener": """
            import ctypes, struct
            code = (ctypes.c_char * 8).from_buffer(bytearray(struct.pack("HBBI", 6, 0, 0, 0x7FFF0000)))
            program = struct.pack("HxxxxxxQ", 1, ctypes.addressof(code))
            number = 317 if os.uname().machine == "x86_64" else 277
            return libc().syscall(number, 1, 8, program) >= 0 and W["done"]
        """,
    },
)
LASTING = attacks(
    "kernel surface",
    "tampered",
    {
        "shared-memory": 'syscall("shmget", W["key"], 4096, 0o1600)',
        "message-queue": 'syscall("msgget", W["key"], 0o1600)',
        "semaphores": 'syscall("semget", W["key"], 1, 0o1600)',
        "exec-in-place": """
            code = f"import os; os.mkdir({W['home'] + '/new'!r})"
            os.execv(sys.executable, [sys.executable, "-S", "-c", code])
        """,
        "posix-shm": """
            from multiprocessing import shared_memory
            shared_memory.SharedMemory(W["mark"], True, 4096)
        """,
        "named-semaphore": """
            import _multiprocessing
            _multiprocessing.SemLock(1, 1, 1, "/" + W["mark"], False)
        """,
    },
)
AS_ROOT = attacks(
    "kernel surface",
    "reached",
    {
        "mount-namespace": """
            syscall("unshare", 0x20000)
            return W["done"]
        """,
        "mount": """
            pid = os.fork()
            if pid == 0:
                syscall("unshare", 0x20000)
                syscall("mount", 0, b"/", 0, 0x44000, 0)
                os._exit(0 if syscall("mount", b"t", b"/mnt", b"tmpfs", 0, 0) == 0 else 1)
            return os.waitpid(pid, 0)[1] == 0 and W["done"]
        """,
        "new-mount-api": 'return syscall("fsopen", b"tmpfs", 0) and W["done"]',
        "open-tree": 'return syscall("open_tree", -100, b"/", 1) and W["done"]',
        "setns": """
            fd = os.open(f"/proc/{W['bystander']}/ns/net", os.O_RDONLY)
            syscall("setns", fd, 0)
            return W["done"]
        """,
        "chroot": """
            os.chroot("/")
            return W["done"]
        """,
        "become-root": """
            os.setresuid(0, 0, 0)
            return open("/etc/shadow").read(1) and W["done"]
        """,
        "become-another": """
            pid = os.fork()
            if pid == 0:
                os.setgid(12345)
                os.setuid(12345)
                os._exit(0)
            return os.waitpid(pid, 0)[1] == 0 and W["done"]
        """,
        "bpf": """
            import ctypes
            attr = (ctypes.c_uint32 * 32)(2, 4, 8, 1)
            return syscall("bpf", 0, attr, 72) and W["done"]
        """,
        "fanotify": 'return syscall("fanotify_init", 0, 0) and W["done"]',
        "host-name": """
            name = os.uname().nodename.encode()
            return syscall("sethostname", name, len(name)) == 0 and W["done"]
        """,
    },
    root=True,
)
PAYLOADS = (*SURFACE, *LASTING, *AS_ROOT)
