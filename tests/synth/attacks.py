"""Programs that try what a sandbox must not let them, each with how it may end."""

from typing import NamedTuple


class Attack(NamedTuple):
    """A program and the outcomes that it may have; `{outside}` is a folder that it must not reach, `{pid}` ours."""

    name: str
    program: str
    outcomes: str = "failed"


NATIVE = """
import ctypes, mmap
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write({machine_code!r})
address = ctypes.addressof(ctypes.c_char.from_buffer(code))
print(ctypes.CFUNCTYPE(ctypes.c_long)(address)())
raise SystemExit(int(ctypes.CFUNCTYPE(ctypes.c_long)(address)() < 0))
"""
CALL = """
import ctypes, os, platform
libc = ctypes.CDLL(None, use_errno=True)
done = libc.syscall({number}, {arguments})
raise SystemExit(1 if done < 0 else 0)
"""

ATTACKS = [
    # the line of the issue
    Attack("fork bomb", "import os\nwhile True:\n    os.fork()"),
    Attack("infinite loop", "while True:\n    pass", "timeout"),
    Attack("10 GB", "x = bytearray(10 << 30)", "memory"),
    Attack("10 GB in pieces", "x = []\nwhile True:\n    x.append(bytearray(1 << 22))", "memory"),
    Attack("writes outside", "open('{outside}/new', 'w').write('x')"),
    Attack("changes outside", "open('{outside}/secret', 'a').write('x')"),
    Attack("network", "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:{port}/')"),
    Attack(
        "environment",
        "import os\nprint(dict(os.environ))\nassert not os.environ and os.listdir('.') == ['program.py']",
        "passed",
    ),
    # processes
    Attack("double fork", "import os\nif os.fork() == 0:\n    os.setsid()\n    os.fork()\n    while True: pass"),
    Attack("vfork by ctypes", "import ctypes\nraise SystemExit(0 if ctypes.CDLL(None).vfork() >= 0 else 1)"),
    Attack(
        "clone",
        CALL.format(number="56 if platform.machine() == 'x86_64' else 220", arguments="17, 0, 0, 0, 0"),
    ),
    Attack("clone3", CALL.format(number="435", arguments="ctypes.create_string_buffer(88), 88")),
    Attack("subprocess", "import subprocess\nsubprocess.run(['/bin/sh', '-c', 'sleep 100 &'])"),
    Attack("multiprocessing", "import multiprocessing as m\nm.get_context('fork').Process(target=print).start()"),
    Attack("own session", "import os\nos.setsid()"),
    Attack("other group", "import os\nos.setpgid(0, 0)"),
    Attack("another program", "import os, sys\nos.execv('/bin/true', ['true'])"),
    Attack(
        "deaf to signals",
        "import signal\n"
        "for n in range(1, 65):\n"
        "    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\n"
        "while True: pass",
        "timeout",
    ),
    Attack(
        "CPU in threads",
        "import threading, hashlib\n"
        "x = bytes(1 << 22)\n"
        "def f():\n"
        "    while True: hashlib.sha512(x)\n"
        "for _ in range(3): threading.Thread(target=f).start()",
        "timeout",
    ),
    Attack(
        "CPU", "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (0, 0))\nwhile True: pass", "timeout killed"
    ),
    Attack("sleep", "import time\nwhile True:\n    time.sleep(1000)", "timeout"),
    Attack(
        "outlives its death",
        "import ctypes\nraise SystemExit(1 if ctypes.CDLL(None).prctl(1, 0, 0, 0, 0) < 0 else 0)",
    ),
    Attack(
        "10,000 threads",
        "import threading, time\n"
        "threading.stack_size(32768)\n"
        "try:\n"
        "    for n in range(10_000): threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n"
        "except RuntimeError:\n"
        "    raise SystemExit(n < 2000)",
        "failed timeout",
    ),
    Attack("signals to who started it", "import os, signal\nos.kill({pid}, signal.SIGTERM)"),
    Attack("signals to all", "import os, signal\nos.kill(-1, signal.SIGKILL)"),
    Attack(
        "signal by asynchronous IO",
        "import fcntl, os\nr, w = os.pipe()\nfcntl.fcntl(r, fcntl.F_SETOWN, {pid})",
    ),
    Attack("limits of who started it", "import resource\nresource.prlimit({pid}, resource.RLIMIT_NOFILE, (0, 0))"),
    Attack("higher limits", "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1000, 1000))"),
    Attack(
        "ptrace",
        CALL.format(number="101 if platform.machine() == 'x86_64' else 117", arguments="16, {pid}, 0, 0"),
    ),
    Attack("memory of who started it", "open('/proc/{pid}/mem', 'rb')"),
    # files
    Attack("/etc/shadow", "open('/etc/shadow').read()"),
    Attack(
        "home",
        "import pathlib\nprint(list(pathlib.Path('/root').iterdir()), list(pathlib.Path('/home').iterdir()))",
    ),
    Attack("environment of who started it", "open('/proc/{pid}/environ').read()"),
    Attack("environment of its parent", "import os\nopen(f'/proc/{os.getppid()}/environ').read()"),
    Attack("a secret", "open('{outside}/secret').read()"),
    Attack("a secret by a link", "import os\nos.symlink('{outside}/secret', 'link')\nopen('link').read()"),
    Attack("a secret by a hard link", "import os\nos.link('{outside}/secret', 'link')\nopen('link').read()"),
    Attack("out by a link", "import os\nos.symlink('{outside}', 'link')\nopen('link/new', 'w').write('x')"),
    Attack("out by ..", "open('../new', 'w').write('x')\nopen('../../new', 'w').write('x')"),
    Attack("out by renaming", "import os\nopen('a', 'w').write('x')\nos.rename('a', '{outside}/new')"),
    Attack("deletes", "import os\nos.unlink('{outside}/secret')"),
    Attack("truncates", "import os\nos.truncate('{outside}/secret', 0)"),
    Attack("truncates by opening", "import os\nos.open('{outside}/secret', os.O_RDONLY | os.O_TRUNC)"),
    Attack("truncates what it may read", "import os\nos.open(os.__file__, os.O_RDONLY | os.O_TRUNC)"),
    Attack("truncates with no access", "import os\nos.open(os.__file__, 3 | os.O_TRUNC)"),
    Attack("writes to Python", "import os\nopen(os.path.dirname(os.__file__) + '/new.py', 'w')"),
    Attack("writes to /dev/shm", "open('/dev/shm/new', 'w')"),
    Attack("writes to /var/tmp", "open('/var/tmp/new', 'w')"),
    Attack("writes to /", "open('/new', 'w')"),
    Attack("modes", "import os\nos.chmod(os.__file__, 0o777)"),
    Attack("owners", "import os\nos.chown('program.py', 12345, 12345)"),
    Attack("times", "import os\nos.utime(os.__file__)"),
    Attack("attributes", "import os\nos.setxattr(os.__file__, 'user.x', b'x')"),
    Attack("a device", "import os, stat\nos.mknod('disk', stat.S_IFBLK | 0o600, os.makedev(8, 0))"),
    Attack(
        "mounts",
        "import ctypes\nraise SystemExit(1 if ctypes.CDLL(None).mount(b'x', b'.', b'tmpfs', 0, 0) < 0 else 0)",
    ),
    Attack("namespaces", "import ctypes\nraise SystemExit(1 if ctypes.CDLL(None).unshare(0x10000000) < 0 else 0)"),
    Attack("becomes root", "import os\nos.setuid(0)"),
    Attack("a big file", "f = open('big', 'wb')\nwhile True:\n    f.write(bytes(1 << 20))"),
    Attack(
        "many big files",
        "import itertools, time\n"
        "for n in itertools.count():\n"
        "    open(str(n), 'wb').write(bytes(1 << 20))\n"
        "    time.sleep(.002)",
    ),
    Attack(
        "many files",
        "import itertools\nfor n in itertools.count():\n    open(f'n{n}', 'w').close()",
        "failed timeout",
    ),
    Attack(
        "a deep tree",
        "import os\nfor n in range(3000):\n    os.mkdir('d')\n    os.chdir('d')\nraise SystemExit(1)",
    ),
    Attack(
        "hostile modes",
        "import os\n"
        "for n in range(5):\n"
        "    os.makedirs(f'd{n}/e/f', mode=0o700)\n"
        "os.umask(0o777)\n"
        "os.mkdir('closed')\n"
        "open('file', 'w')\n"
        "raise SystemExit(1)",
    ),
    # sockets
    Attack("a socket", "import socket\nsocket.create_connection(('127.0.0.1', {port}), 1)"),
    Attack("a socket of IPv6", "import socket\nsocket.socket(socket.AF_INET6)"),
    Attack(
        "UDP",
        "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
    ),
    Attack("names of hosts", "import socket\nsocket.gethostbyname('example.com')"),
    Attack("a socket of UNIX", "import socket\nsocket.socket(socket.AF_UNIX).connect('{outside}/socket')"),
    Attack("an abstract socket", "import socket\nsocket.socket(socket.AF_UNIX).bind('\\0onggi')"),
    Attack("a socket of the kernel", "import socket\nsocket.socket(socket.AF_NETLINK, socket.SOCK_RAW)"),
    Attack("a pair that is sent elsewhere", "import socket\nsocket.socketpair()[0].connect('{outside}/socket')"),
    Attack("a pair of datagrams", "import socket\nsocket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)"),
    Attack("io_uring", CALL.format(number="425", arguments="8, ctypes.create_string_buffer(120)")),
    Attack("bpf", CALL.format(number="321 if platform.machine() == 'x86_64' else 280", arguments="0, 0, 0")),
    Attack("a new system call", CALL.format(number="9999", arguments="0")),
    Attack("calls of x32", CALL.format(number="0x40000000 + 39", arguments="0")),
    # itself
    Attack("waits for input", "import sys\nassert sys.stdin.read() == ''\ninput()"),
    Attack("output flood", "while True:\n    print('x' * 100_000)", "output"),
    Attack("flood of errors", "import sys\nwhile True:\n    sys.stderr.write('x' * 100_000)", "output"),
    Attack(
        "deep recursion",
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(n): return f(n + 1) + 1\nf(0)",
        "killed memory failed timeout",
    ),
    Attack("memory by mmap", "import mmap\nx = [mmap.mmap(-1, 1 << 28) for _ in range(100)]", "failed memory"),
    Attack("memory without names", "import os\nos.memfd_create('x')"),
    Attack(
        "shared memory",
        "import ctypes\nraise SystemExit(1 if ctypes.CDLL(None).shmget(0, 4096, 0o1600) < 0 else 0)",
    ),
    Attack("a crash", "import ctypes\nctypes.string_at(0)", "killed"),
    Attack("exit code 3", "raise SystemExit(3)"),
    Attack("an error", "1 / 0"),
    Attack("no Python", "def def"),
    Attack("a null byte", "print(1)\0"),
    Attack("a surrogate", "print('\ud800')"),
]

HARMLESS = [
    ("asks and answers", "print(int(input()) + 1)", b"41\n", b"42\n"),
    ("exit()", "print(1)\nexit()", b"", b"1\n"),
    (
        "a file of its own",
        "open('a', 'w').write('x')\nimport os\nos.rename('a', 'b')\nprint(open('b').read())",
        b"",
        b"x\n",
    ),
    ("a temporary file", "import tempfile\nwith tempfile.TemporaryFile() as f: print(f.write(b'x'))", b"", b"1\n"),
    (
        "threads with large stacks",
        "import sys, threading\n"
        "sys.setrecursionlimit(10**6)\n"
        "threading.stack_size(1 << 27)\n"
        "t = threading.Thread(target=lambda: print(1))\n"
        "t.start()\n"
        "t.join()",
        b"",
        b"1\n",
    ),
    (
        "asyncio",
        "import asyncio\nasync def f():\n    await asyncio.sleep(.01)\n    return 3\nprint(asyncio.run(f()))",
        b"",
        b"3\n",
    ),
    (
        "data classes",
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\nprint(A(1))",
        b"",
        b"A(x=1)\n",
    ),
    (
        "much of the library",
        "import collections, csv, datetime, decimal, fractions, functools, hashlib, heapq\n"
        "import itertools, json, math, random, re, sqlite3, statistics, string, typing, unittest, zoneinfo, zlib\n"
        "print(zoneinfo.ZoneInfo('Asia/Seoul') and 1)",
        b"",
        b"1\n",
    ),
    ("Korean", "print(input()[::-1])", "가나\n".encode(), "나가\n".encode()),
    ("is the main module", "if __name__ == '__main__': print(__file__.endswith('program.py'))", b"", b"True\n"),
    (
        "an alarm of its own",
        "import signal\n"
        "signal.signal(signal.SIGALRM, lambda *_: print('x'))\n"
        "signal.setitimer(signal.ITIMER_REAL, .01)\n"
        "signal.pause()",
        b"",
        b"x\n",
    ),
]
