"""Which system calls a sandboxed program may make: a seccomp filter, built by hand for x86-64 and 64-bit ARM.

What is not on the lists does not exist for a program (ENOSYS, so that libraries fall back to older calls); what is
refused gives EPERM, which Python reports as PermissionError. No sockets, no new processes, no signals, no change of
modes, owners or times of files: Landlock rules where files may be opened and written, and leaves these to us.
"""

import errno
import platform
import struct
from collections.abc import Callable

ALLOWED = """
read write readv writev pread64 pwrite64 preadv pwritev close close_range lseek fstat newfstatat stat lstat statx
statfs fstatfs access faccessat faccessat2 readlink readlinkat getcwd chdir fchdir getdents64 getdents mkdir
mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat ftruncate fallocate fsync
fdatasync flock copy_file_range sendfile fadvise64 umask dup dup2 dup3 pipe pipe2 poll ppoll select pselect6
epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd2 timerfd_create timerfd_settime
timerfd_gettime mmap mprotect munmap mremap madvise brk msync rt_sigaction rt_sigprocmask rt_sigreturn
rt_sigpending rt_sigtimedwait rt_sigsuspend sigaltstack setitimer getitimer alarm pause restart_syscall nanosleep
clock_nanosleep clock_gettime clock_getres gettimeofday time times getrusage sysinfo uname getpid getppid gettid
getpgid getpgrp getsid getuid geteuid getgid getegid getresuid getresgid getgroups getpriority getrlimit setrlimit
sched_yield sched_getaffinity sched_getparam sched_getscheduler sched_get_priority_max sched_get_priority_min
getcpu futex set_robust_list rseq set_tid_address arch_prctl exit exit_group wait4 waitid getrandom
membarrier recvfrom getsockopt getsockname getpeername shutdown
"""
"""Whatever their arguments: files (opened under Landlock or in namespaces), memory, time, threads' locks."""

REFUSED = """
socket connect bind listen accept accept4 sendmsg sendmmsg recvmsg recvmmsg setsockopt ptrace process_vm_readv
process_vm_writev pidfd_getfd kcmp mount umount2 pivot_root chroot unshare setns bpf perf_event_open keyctl add_key
request_key userfaultfd io_uring_setup io_uring_enter io_uring_register kexec_load kexec_file_load init_module
finit_module delete_module reboot swapon swapoff chmod fchmod fchmodat chown fchown lchown fchownat utime utimes
utimensat futimesat setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr truncate creat mknod mknodat
setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset setpriority
sched_setaffinity sched_setparam sched_setscheduler sched_setattr ioprio_set rt_sigqueueinfo rt_tgsigqueueinfo
shmget shmat shmctl shmdt semget semop semctl msgget msgsnd msgrcv msgctl mq_open memfd_create memfd_secret
open_by_handle_at name_to_handle_at personality seccomp sethostname setdomainname settimeofday clock_settime
adjtimex syslog sync syncfs quotactl acct fork vfork execve execveat kill tgkill tkill setpgid setsid pidfd_open
pidfd_send_signal
"""
"""With EPERM. `truncate` and its like act on paths, which Landlock of Linux 5.13 to 6.1 does not rule."""

OF_PROCESSES = "fork vfork execve execveat kill tgkill tkill setpgid setsid"
"""What a program may do besides where it may have processes of its own: only in namespaces, which end with them."""

OF_KEEPER = "pidfd_send_signal"
"""What the process of the tests needs to end that of the program: it acts only on what it has a descriptor of."""

NUMBERS = """
accept=43/202 accept4=288/242 access=21/- acct=163/89 add_key=248/217 adjtimex=159/171 alarm=37/- arch_prctl=158/-
bind=49/200 bpf=321/280 brk=12/214 capset=126/91 chdir=80/49 chmod=90/- chown=92/- chroot=161/51
clock_getres=229/114 clock_gettime=228/113 clock_nanosleep=230/115 clock_settime=227/112 clone=56/220 close=3/57
close_range=436/436 connect=42/203 copy_file_range=326/285 creat=85/- delete_module=176/106 dup=32/23 dup2=33/-
dup3=292/24 epoll_create=213/- epoll_create1=291/20 epoll_ctl=233/21 epoll_pwait=281/22 epoll_pwait2=441/441
epoll_wait=232/- eventfd2=290/19 execve=59/221 execveat=322/281 exit=60/93 exit_group=231/94 faccessat=269/48
faccessat2=439/439 fadvise64=221/223 fallocate=285/47 fchdir=81/50 fchmod=91/52 fchmodat=268/53 fchown=93/55
fchownat=260/54 fcntl=72/25 fdatasync=75/83 finit_module=313/273 flock=73/32 fork=57/- fremovexattr=199/16
fsetxattr=190/7 fstat=5/80 fstatfs=138/44 fsync=74/82 ftruncate=77/46 futex=202/98 futimesat=261/-
 getcpu=309/168 getcwd=79/17 getdents=78/- getdents64=217/61 getegid=108/177 geteuid=107/175
getgid=104/176 getgroups=115/158 getitimer=36/102 getpeername=52/205 getpgid=121/155 getpgrp=111/- getpid=39/172
getppid=110/173 getpriority=140/141 getrandom=318/278 getresgid=120/150 getresuid=118/148 getrlimit=97/163
getrusage=98/165 getsid=124/156 getsockname=51/204 getsockopt=55/209 gettid=186/178 gettimeofday=96/169
getuid=102/174 init_module=175/105 io_uring_enter=426/426 io_uring_register=427/427 io_uring_setup=425/425
ioctl=16/29 ioprio_set=251/30 kcmp=312/272 kexec_file_load=320/294 kexec_load=246/104 keyctl=250/219 kill=62/129
lchown=94/- link=86/- linkat=265/37 listen=50/201 lremovexattr=198/15 lseek=8/62 lsetxattr=189/6 lstat=6/-
madvise=28/233 membarrier=324/283 memfd_create=319/279 memfd_secret=447/447 mkdir=83/-
mkdirat=258/34 mknod=133/- mknodat=259/33 mmap=9/222 mount=165/40 mprotect=10/226 mq_open=240/180 mremap=25/216
msgctl=71/187 msgget=68/186 msgrcv=70/188 msgsnd=69/189 msync=26/227 munmap=11/215 name_to_handle_at=303/264
nanosleep=35/101 newfstatat=262/79 open=2/- open_by_handle_at=304/265 openat=257/56 pause=34/-
perf_event_open=298/241 personality=135/92 pidfd_getfd=438/438 pidfd_open=434/434 pidfd_send_signal=424/424
pipe=22/- pipe2=293/59 pivot_root=155/41 poll=7/- ppoll=271/73 prctl=157/167 pread64=17/67 preadv=295/69
prlimit64=302/261 process_vm_readv=310/270 process_vm_writev=311/271 pselect6=270/72 ptrace=101/117 pwrite64=18/68
pwritev=296/70 quotactl=179/60 read=0/63 readlink=89/- readlinkat=267/78 readv=19/65 reboot=169/142 recvfrom=45/207
recvmmsg=299/243 recvmsg=47/212 removexattr=197/14 rename=82/- renameat=264/38 renameat2=316/276
request_key=249/218 restart_syscall=219/128 rmdir=84/- rseq=334/293 rt_sigaction=13/134 rt_sigpending=127/136
rt_sigprocmask=14/135 rt_sigqueueinfo=129/138 rt_sigreturn=15/139 rt_sigsuspend=130/133 rt_sigtimedwait=128/137
rt_tgsigqueueinfo=297/240 sched_get_priority_max=146/125 sched_get_priority_min=147/126 sched_getaffinity=204/123
sched_getparam=143/121 sched_getscheduler=145/120 sched_setaffinity=203/122 sched_setattr=314/274
sched_setparam=142/118 sched_setscheduler=144/119 sched_yield=24/124 seccomp=317/277 select=23/- semctl=66/191
semget=64/190 semop=65/193 sendfile=40/71 sendmmsg=307/269 sendmsg=46/211 sendto=44/206 set_robust_list=273/99
set_tid_address=218/96 setdomainname=171/162 setfsgid=123/152 setfsuid=122/151 setgid=106/144 setgroups=116/159
sethostname=170/161 setitimer=38/103 setns=308/268 setpgid=109/154 setpriority=141/140 setregid=114/143
setresgid=119/149 setresuid=117/147 setreuid=113/145 setrlimit=160/164 setsid=112/157 setsockopt=54/208
settimeofday=164/170 setuid=105/146 setxattr=188/5 shmat=30/196 shmctl=31/195 shmdt=67/197 shmget=29/194
shutdown=48/210 sigaltstack=131/132 socket=41/198 socketpair=53/199 stat=4/- statfs=137/43 statx=332/291
swapoff=168/225 swapon=167/224 symlink=88/- symlinkat=266/36 sync=162/81 syncfs=306/267 sysinfo=99/179
syslog=103/116 tgkill=234/131 time=201/- timerfd_create=283/85 timerfd_gettime=287/87 timerfd_settime=286/86
times=100/153 tkill=200/130 truncate=76/45 umask=95/166 umount2=166/39 uname=63/160 unlink=87/- unlinkat=263/35
unshare=272/97 userfaultfd=323/282 utime=132/- utimensat=280/88 utimes=235/- vfork=58/- wait4=61/260 waitid=247/95
write=1/64 writev=20/66
"""
"""Of each system call on x86-64 and on 64-bit ARM, from Linux' asm/unistd_64.h and asm-generic/unistd.h."""

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column of NUMBERS, and how seccomp names the machine (linux/audit.h), by `platform.machine()`."""

X32_BIT = 0x40000000
"""Calls of the x32 ABI have it, and would pass by the numbers of the list."""

Instruction = tuple[int, int, int, int]
"""Operation, instructions to skip if true, if false, and its constant (linux/filter.h)."""

LOAD, AND, IF_EQUAL, IF_AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
NUMBER_AT, MACHINE_AT = 0, 4
ALLOW: Instruction = (RETURN, 0, 0, 0x7FFF0000)
KILL: Instruction = (RETURN, 0, 0, 0x80000000)

THREAD = 0x00010000
NAMESPACES = 0x7E020000
FCNTL = [0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030]
"""Duplicates, flags and locks; not who is sent SIGIO, nor how large a pipe is."""

IOCTL = [0x541B, 0x5451, 0x5450, 0x5421, 0x5401, 0x5413]
"""Bytes to read, close on exec, blocking; and whether it is a terminal, which it never is."""

PRCTL = [15, 16, 0x53564D41]
"""Names of threads and of memory."""

O_ACCMODE, O_TRUNC, AF_UNIX, SOCK_STREAM = 3, 0o1000, 1, 1


def machine() -> str | None:
    """The machine this runs on, if there is a filter for it."""
    name = platform.machine()
    return name if name in MACHINES and struct.calcsize("P") == 8 else None


def filter_program(machine: str, *, has_processes: bool = False, is_keeper: bool = False) -> bytes:
    """The filter as an array of `struct sock_filter`, 8 bytes each.

    Args:
        machine: one of MACHINES.
        has_processes: whether the program may start others and signal them.
        is_keeper: whether it may signal the process that it has a descriptor of.
    """
    column, audit = MACHINES[machine]
    numbers = _numbers(column)
    extra = OF_PROCESSES.split() * has_processes + OF_KEEPER.split() * is_keeper
    program = [_load(MACHINE_AT), (IF_EQUAL, 1, 0, audit), KILL, _load(NUMBER_AT)]
    program += [(IF_AT_LEAST, 0, 1, X32_BIT), _error(errno.ENOSYS)]
    for name in [*ALLOWED.split(), *extra]:
        program += _when(numbers.get(name), [ALLOW])
    for name, body in _CONDITIONS.items():
        program += _when(numbers.get(name), body())
    program += _when(numbers["clone"], _clone(has_processes))
    for name in REFUSED.split():
        program += _when(numbers.get(name), [_error(errno.EPERM)])
    program.append(_error(errno.ENOSYS))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


def _numbers(column: int) -> dict[str, int]:
    pairs = (item.split("=") for item in NUMBERS.split())
    return {name: int(found) for name, both in pairs if (found := both.split("/")[column]) != "-"}


def _load(at: int) -> Instruction:
    return (LOAD, 0, 0, at)


def _argument(index: int, high: bool = False) -> Instruction:
    return _load(16 + 8 * index + 4 * high)


def _error(number: int) -> Instruction:
    return (RETURN, 0, 0, 0x00050000 | number)


def _when(number: int | None, body: list[Instruction]) -> list[Instruction]:
    """`body`, which ends in returns, for one system call; nothing where the machine has no such call."""
    return [(IF_EQUAL, 0, len(body), number), *body] if number is not None else []


def _one_of(index: int, values: list[int], otherwise: int) -> list[Instruction]:
    tests = [(IF_EQUAL, len(values) - place, 0, value) for place, value in enumerate(values)]
    return [_argument(index), *tests, _error(otherwise), ALLOW]


def _opening(flags_at: int) -> list[Instruction]:
    """Files may be opened, but not emptied while opened for reading, which older Landlock lets pass."""
    refuse, load = _error(errno.EPERM), _argument(flags_at)
    no_access = [load, (AND, 0, 0, O_ACCMODE), (IF_EQUAL, 0, 1, O_ACCMODE), refuse]
    return [*no_access, load, (AND, 0, 0, O_ACCMODE | O_TRUNC), (IF_EQUAL, 0, 1, O_TRUNC), refuse, ALLOW]


def _clone(has_processes: bool) -> list[Instruction]:
    """Threads, and processes where they may be; never in namespaces of their own."""
    refuse, load = _error(errno.EPERM), _argument(0)
    body = [load, (AND, 0, 0, NAMESPACES), (IF_EQUAL, 1, 0, 0), refuse]
    thread = [load, (AND, 0, 0, THREAD), (IF_EQUAL, 1, 0, THREAD), refuse]
    return [*body, *(thread if not has_processes else []), ALLOW]


def _pair() -> list[Instruction]:
    """Pairs of stream sockets of this process, which asyncio wakes itself with."""
    refuse = _error(errno.EPERM)
    kind = [_argument(1), (AND, 0, 0, 0xF), (IF_EQUAL, 1, 0, SOCK_STREAM), refuse]
    return [_argument(0), (IF_EQUAL, 1, 0, AF_UNIX), refuse, *kind, ALLOW]


def _sending() -> list[Instruction]:
    """To the other end of a pair: to no address."""
    refuse = _error(errno.EPERM)
    return [_argument(4), (IF_EQUAL, 1, 0, 0), refuse, _argument(4, high=True), (IF_EQUAL, 1, 0, 0), refuse, ALLOW]


_CONDITIONS: dict[str, Callable[[], list[Instruction]]] = {
    "open": lambda: _opening(1),
    "openat": lambda: _opening(2),
    "fcntl": lambda: _one_of(1, FCNTL, errno.EINVAL),
    "ioctl": lambda: _one_of(1, IOCTL, errno.ENOTTY),
    "prctl": lambda: _one_of(0, PRCTL, errno.EPERM),
    "prlimit64": lambda: _one_of(0, [0], errno.EPERM),
    "socketpair": _pair,
    "sendto": _sending,
}
