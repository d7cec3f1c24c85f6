"""Talking to somebody: every family of sockets, and the ways around a rule for one of them."""

from __future__ import annotations

from .payload import attacks

HEARD = attacks(
    "network",
    "connected",
    {
        "tcp": """
            import socket
            socket.create_connection(("127.0.0.1", W["port"]), 2)
        """,
        "tcp6": """
            import socket
            socket.create_connection(("::1", W["port"]), 2)
        """,
        "mapped-tcp6": """
            import socket
            with socket.socket(socket.AF_INET6) as s:
                s.settimeout(2)
                s.connect(("::ffff:127.0.0.1", W["port"]))
        """,
        "udp": """
            import socket
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", W["port"]))
        """,
        "udp6": """
            import socket
            socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b"x", ("::1", W["port"]))
        """,
        "udp-connected": """
            import socket
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.connect(("127.0.0.1", W["port"]))
            s.send(b"x")
        """,
        "udp-sendmsg": """
            import socket
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.sendmsg([b"x"], [], 0, ("127.0.0.1", W["port"]))
        """,
        "dns": """
            import socket
            query = b"\\1\\2\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0" + b"\\6secret\\7example\\0" + b"\\0\\1\\0\\1"
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(query, ("127.0.0.1", W["port"]))
        """,
        "tcp-fast-open": """
            import socket
            socket.socket().sendto(b"x", socket.MSG_FASTOPEN, ("127.0.0.1", W["port"]))
        """,
        "multipath-tcp": """
            import socket
            s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
            s.settimeout(2)
            s.connect(("127.0.0.1", W["port"]))
        """,
        "unix-path": """
            import socket
            socket.socket(socket.AF_UNIX).connect(W["unix"])
        """,
        "unix-datagram": """
            import socket
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"x", W["dgram"])
        """,
        "unix-pair-sendto": """
            import socket
            a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            a.sendto(b"x", W["dgram"])
        """,
        "unix-abstract": """
            import socket
            socket.socket(socket.AF_UNIX).connect(W["abstract"])
        """,
        "urllib": """
            import urllib.request
            urllib.request.urlopen(f"http://127.0.0.1:{W['port']}/", timeout=2)
        """,
        "asyncio": """
            import asyncio
            asyncio.run(asyncio.open_connection("127.0.0.1", W["port"]))
        """,
        "localhost-by-name": """
            import socket
            socket.create_connection(("localhost", W["port"]), 2)
        """,
        "libc-socket": """
            import ctypes, struct
            fd = libc().socket(2, 1, 0)
            address = struct.pack("=H", 2) + struct.pack("!H", W["port"]) + bytes((127, 0, 0, 1)) + bytes(8)
            libc().connect(fd, address, 16)
        """,
        "in-a-thread": """
            import socket, threading
            def connect():
                socket.create_connection(("127.0.0.1", W["port"]), 2)
            thread = threading.Thread(target=connect)
            thread.start()
            thread.join(3)
        """,
        "in-a-shell": """
            import subprocess
            subprocess.run(["bash", "-c", f"echo x > /dev/tcp/127.0.0.1/{W['port']}"])
        """,
        "inherited-socket": """
            import socket
            for fd in range(3, 256):
                try:
                    name = os.readlink(f"/proc/self/fd/{fd}")
                except OSError:
                    name = "socket:"
                if name.startswith("socket:"):
                    for family, address in ((1, W["unix"]), (1, W["dgram"]), (1, W["abstract"])):
                        try:
                            socket.socket(family, fileno=os.dup(fd)).sendto(b"x", address)
                        except OSError:
                            pass
            socket.socket(socket.AF_UNIX).connect(W["unix"])
        """,
    },
)
OPENED = attacks(
    "network",
    "reached",
    {
        "listen": """
            import socket
            return socket.create_server(("127.0.0.1", 0)) and W["done"]
        """,
        "listen-unix": """
            import socket
            s = socket.socket(socket.AF_UNIX)
            s.bind("\\0here" + W["mark"])
            s.listen()
            return W["done"]
        """,
        "interfaces": """
            import socket
            return [name for _, name in socket.if_nameindex() if name != "lo"] and W["done"]
        """,
        "netlink": """
            import socket
            s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
            s.bind((0, 0))
            return W["done"]
        """,
        "vsock": """
            import socket
            with socket.socket(socket.AF_VSOCK) as s:
                return W["done"]
        """,
        "any-family": """
            import socket
            for family in range(1, 46):
                for kind in (1, 2, 3, 5):
                    try:
                        socket.socket(family, kind).close()
                    except OSError:
                        continue
                    return W["done"]
        """,
        "io-uring": """
            import ctypes
            return syscall("io_uring_setup", 4, (ctypes.c_char * 120)()) and W["done"]
        """,
    },
)
AS_ROOT = attacks(
    "network",
    "reached",
    {
        "raw": """
            import socket
            return socket.socket(socket.AF_INET, socket.SOCK_RAW, 1) and W["done"]
        """,
        "packet": """
            import socket
            return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3) and W["done"]
        """,
        "privileged-port": """
            import socket
            with socket.socket() as s:
                s.bind(("127.0.0.2", 1))
                return W["done"]
        """,
    },
    root=True,
)
PAYLOADS = (*HEARD, *OPENED, *AS_ROOT)
