"""The barriers around code that a model wrote, each usable without the others.

``bubblewrap`` hides the machine (namespaces), ``landlock`` the files and the network, ``seccomp`` the kernel, and
``limits`` bounds what is used up. ``layers`` finds out which of them this machine has, ``confine`` puts a process
behind them, and ``selftest`` tries to get through. All of it is standard library, as it runs in the processes of the
test server.
"""
