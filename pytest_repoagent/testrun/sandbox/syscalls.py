"""The kernel's calls that a filter names, each with its numbers: on x86_64 / on arm64, ``-`` where it has none.

From ``arch/x86/entry/syscalls/syscall_64.tbl`` and ``scripts/syscall.tbl`` of Linux.
"""

from __future__ import annotations

MACHINES = ("x86_64", "aarch64")
NEWEST = 452
"""No call beyond this number is named here."""

HARMLESS = """
read 0/63 write 1/64 readv 19/65 writev 20/66 pread64 17/67 pwrite64 18/68 preadv 295/69 pwritev 296/70 lseek 8/62
close 3/57 close_range 436/436 dup 32/23 dup2 33/- dup3 292/24 pipe 22/-
stat 4/- lstat 6/- fstat 5/80 newfstatat 262/79 statx 332/291 access 21/- faccessat 269/48 faccessat2 439/439
readlink 89/- readlinkat 267/78 getdents64 217/61 getcwd 79/17 chdir 80/49 fchdir 81/50
poll 7/- ppoll 271/73 select 23/- pselect6 270/72 epoll_create 213/- epoll_create1 291/20 epoll_ctl 233/21
epoll_wait 232/- epoll_pwait 281/22 eventfd 284/- eventfd2 290/19
mmap 9/222 munmap 11/215 mprotect 10/226 mremap 25/216 madvise 28/233 brk 12/214
futex 202/98 futex_waitv 449/449 set_robust_list 273/99 rseq 334/293 sched_yield 24/124 sched_getaffinity 204/123
getcpu 309/168 gettid 186/178 exit 60/93 exit_group 231/94
rt_sigaction 13/134 rt_sigprocmask 14/135 rt_sigreturn 15/139 rt_sigpending 127/136 rt_sigsuspend 130/133
rt_sigtimedwait 128/137 sigaltstack 131/132 restart_syscall 219/128 pause 34/- alarm 37/- getitimer 36/102
setitimer 38/103
getpid 39/172 getppid 110/173 getuid 102/174 geteuid 107/175 getgid 104/176 getegid 108/177 getresuid 118/148
getresgid 120/150 getgroups 115/158 getpgrp 111/- getpgid 121/155 getsid 124/156 uname 63/160 sysinfo 99/179
times 100/153 getrusage 98/165 getrlimit 97/163
clock_gettime 228/113 clock_getres 229/114 clock_nanosleep 230/115 nanosleep 35/101 gettimeofday 96/169 time 201/-
getrandom 318/278
shutdown 48/210 getsockname 51/204 getpeername 52/205 getsockopt 55/209
"""
"""They change nothing outside the process, and tell it no more than that a file is there."""

CHECKED = """
open 2/- openat 257/56 pipe2 293/59 fcntl 72/25 ioctl 16/29 prlimit64 302/261 prctl 157/167 kill 62/129
tgkill 234/131 clone 56/220 socketpair 53/199 sendto 44/206 recvfrom 45/207
"""
"""Some arguments of theirs are harmless."""

UNREADABLE = "clone3 435/435 openat2 437/437"
"""Their arguments are in memory, which a filter cannot see; who needs them has another way."""

ATTRIBUTES = """
getxattr 191/8 lgetxattr 192/9 fgetxattr 193/10 listxattr 194/11 llistxattr 195/12 flistxattr 196/13
setxattr 188/5 lsetxattr 189/6 fsetxattr 190/7
"""
"""Copying a file tries them, and can do without."""

FILES = """
mkdir 83/- mkdirat 258/34 rmdir 84/- unlink 87/- unlinkat 263/35 rename 82/- renameat 264/38 renameat2 316/276
symlink 88/- symlinkat 266/36 link 86/- linkat 265/37 creat 85/- ftruncate 77/46 fallocate 285/47 fadvise64 221/223
fsync 74/82 fdatasync 75/83 msync 26/227 flock 73/32 sendfile 40/71 copy_file_range 326/285 umask 95/166
statfs 137/43 fstatfs 138/44
"""
"""They change files in a way that Landlock looks at, or only files that are open for writing."""

MODES = """
chmod 90/- fchmod 91/52 fchmodat 268/53 fchmodat2 452/452 utime 132/- utimes 235/- futimesat 261/- utimensat 280/88
"""
"""They change files that Landlock does not look after."""

PROCESSES = """
fork 57/- vfork 58/- execve 59/221 wait4 61/260 waitid 247/95 setsid 112/157 setpgid 109/154 set_tid_address 218/96
arch_prctl 158/-
"""

FORBIDDEN = """
socket 41/198 connect 42/203 sendmsg 46/211 mount 165/40 umount2 166/39 pivot_root 155/41 chroot 161/51 unshare 272/97
setns 308/268 ptrace 101/117 process_vm_readv 310/270 process_vm_writev 311/271 kcmp 312/272 pidfd_open 434/434
pidfd_getfd 438/438 pidfd_send_signal 424/424 add_key 248/217 keyctl 250/219 bpf 321/280 perf_event_open 298/241
userfaultfd 323/282 io_uring_setup 425/425 memfd_create 319/279 shmget 29/194 semget 64/190
mq_open 240/180 setuid 105/146 setpriority 141/140 sched_setaffinity 203/122 sched_setscheduler 144/119
personality 135/92 truncate 76/45 name_to_handle_at 303/264 open_by_handle_at 304/265
"""
"""Some of the many that no filter allows: what a self-test tries."""


def numbers(calls: str, machine: str) -> dict[str, int]:
    """Name -> number of those among ``calls`` that a machine has."""
    words = calls.split()
    column = MACHINES.index(machine)
    pairs = zip(words[::2], (numbers.split("/")[column] for numbers in words[1::2]), strict=True)
    return {name: int(number) for name, number in pairs if number != "-"}
