"""Programs that are right, and programs that only say so, with tests for them."""

RIGHT = [
    ("a function", "def f(x): return x + 1", "assert f(1) == 2\nassert f(x=-1) == 0", None),
    ("several", "def f(x): return x + 1\ndef g(x): return f(f(x))", "assert g(f(0)) == 3", None),
    (
        "HumanEval",
        "def f(x): return x + 1",
        "METADATA = {}\ndef check(candidate):\n    assert candidate(1) == 2",
        "f",
    ),
    ("as a script", "def f(x): return x + 1", "if __name__ == '__main__':\n    assert f(1) == 2", "f"),
    (
        "unittest as a script",
        "def f(x): return x + 1",
        "import unittest\nclass T(unittest.TestCase):\n    def test_one(self): self.assertEqual(f(1), 2)\n"
        "if __name__ == '__main__':\n    unittest.main()",
        "f",
    ),
    ("HumanEval that calls", "def f(x): return x + 1", "def check(g):\n    assert g(1) == 2\ncheck(f)", "f"),
    ("functions called test", "def f(x): return x + 1", "def test_one():\n    assert f(1) == 2", "f"),
    (
        "unittest",
        "def f(x): return x + 1",
        "import unittest\nfrom solution import f\nclass T(unittest.TestCase):\n"
        "    def test_one(self): self.assertEqual(f(1), 2)\n"
        "    def test_two(self):\n        with self.assertRaises(TypeError): f('')",
        "f",
    ),
    ("what it imports", "import math\ndef f(x): return x / 3", "assert math.isclose(f(1), 1 / 3)", None),
    ("and by name", "from math import isclose\ndef f(x): return x / 3", "assert isclose(f(1), 1 / 3)", None),
    ("changes in place", "def f(x): x.sort()", "a = [3, 1, 2]\nassert f(a) is None\nassert a == [1, 2, 3]", None),
    ("changes a dict", "def f(x): x['b'] = {1, 2}", "a = {'a': 1}\nf(a)\nassert a == {'a': 1, 'b': {1, 2}}", None),
    (
        "a function that is passed",
        "def f(g, x): return [g(y) for y in x]",
        "assert f(lambda y: y * 2, [1, 2]) == [2, 4]",
        None,
    ),
    (
        "a builtin that is passed",
        "def f(g, x): return g(x)",
        "assert f(sorted, [2, 1]) == [1, 2] and f(int, '7') == 7",
        None,
    ),
    (
        "a function that is passed and calls back",
        "def f(g, n): return g(n)\ndef h(n): return n * n",
        "assert f(lambda n: h(n) + 1, 3) == 10",
        None,
    ),
    (
        "a function that is passed and raises",
        "def f(g):\n    try: return g()\n    except ValueError as e: return str(e)",
        "def g(): raise ValueError('x')\nassert f(g) == 'x'",
        None,
    ),
    ("a function that is returned", "def f(n): return lambda x: x + n", "assert f(2)(3) == 5", None),
    (
        "a class",
        "class S:\n"
        "    def __init__(self): self.x = []\n"
        "    def push(self, v): self.x.append(v)\n"
        "    def __len__(self): return len(self.x)",
        "s = S()\ns.push(3)\nassert len(s) == 1 and s.x == [3] and isinstance(s, S) and not isinstance(3, S)",
        None,
    ),
    (
        "operators",
        "from dataclasses import dataclass\n"
        "@dataclass(order=True)\n"
        "class P:\n"
        "    x: int\n"
        "    def __add__(self, o): return P(self.x + o.x)",
        "assert P(1) + P(2) == P(3)\nassert P(1) < P(2)\nassert P(1) != P(2)\nassert repr(P(1)) == 'P(x=1)'",
        None,
    ),
    (
        "an attribute that is set",
        "class S: pass",
        "s = S()\ns.x = 5\nassert s.x == 5\ndel s.x\nassert not hasattr(s, 'x')",
        None,
    ),
    (
        "a generator",
        "def f(n):\n    for i in range(n): yield i",
        "assert list(f(3)) == [0, 1, 2]\ng = f(1)\nassert next(g) == 0\nassert 0 in f(2)",
        None,
    ),
    (
        "a context",
        "class C:\n    def __enter__(self): return 5\n    def __exit__(self, *a): pass",
        "with C() as x:\n    assert x == 5",
        None,
    ),
    (
        "an exception",
        "def f(x):\n    if x < 0: raise ValueError('below 0')",
        "try:\n    f(-1)\nexcept ValueError as e:\n    assert str(e) == 'below 0'\nelse:\n    assert False",
        None,
    ),
    (
        "an exception of its own",
        "class Bad(ValueError):\n"
        "    def __init__(self, n):\n"
        "        super().__init__(f'{n} is bad')\n"
        "        self.n = n\n"
        "def f(x): raise Bad(x)",
        "try:\n    f(7)\n    assert False\nexcept Bad as e:\n    assert e.n == 7",
        None,
    ),
    (
        "data",
        "def f(x): return x",
        "from decimal import Decimal\n"
        "from fractions import Fraction\n"
        "from datetime import date, timedelta\n"
        "from collections import deque\n"
        "for x in [None, True, 1, -2**80, 10**5000, 1.5, float('inf'), 'ㄱ\\ud800', b'x', [1, [2]], (1, "
        "(2,)), {1: (2,), (1, 2): 'x'}, {1, 2}, frozenset([1]), 1j, range(3), Decimal('1.10'), Fraction(1, "
        "3), date(2020, 1, 1), timedelta(1), deque([1])]:\n"
        "    y = f(x)\n"
        "    assert y == x and type(y) is type(x), x\n"
        "assert str(f(float('nan'))) == 'nan'",
        None,
    ),
    (
        "kinds of data",
        "import collections\n"
        "P = collections.namedtuple('P', 'x y')\n"
        "def f(): return collections.Counter('aab'), collections.defaultdict(int, a=1), P(1, 2)",
        "assert f() == ({'a': 2, 'b': 1}, {'a': 1}, (1, 2))",
        None,
    ),
    ("data by name", "TABLE = {'a': 1}\ndef f(): return TABLE", "assert TABLE == f() == {'a': 1}", None),
    ("what is called like a builtin", "def sum(x): return 42", "assert sum([1]) == 42", "sum"),
    ("much output", "def f(x):\n    print('x' * 1000)\n    return x", "assert f(1) == 1", None),
    (
        "a main part",
        "def f(x): return x\nif __name__ == '__main__':\n    print(f(int(input())))",
        "assert f(1) == 1",
        None,
    ),
    (
        "recursion",
        "def f(n): return 1 if n < 2 else n * f(n - 1)",
        "assert f(500) > 0\ntry:\n    f(100000)\n    assert False\nexcept RecursionError:\n    pass",
        None,
    ),
    ("Korean", "def 더하기(가, 나): return 가 + 나", "assert 더하기('ㄱ', 'ㄴ') == 'ㄱㄴ'", "더하기"),
]

EQUALS = """
class Anything:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __lt__
    def __sub__(self, other): return self
    __rsub__ = __add__ = __radd__ = __abs__ = __round__ = __neg__ = __mul__ = __truediv__ = __mod__ = __sub__
    def __contains__(self, other): return True
    def __bool__(self): return True
    def __float__(self): return 0.0
    __int__ = __index__ = __float__
    def __hash__(self): return 3
    def __instancecheck__(self, other): return True
def __getattr__(name): return Anything()
"""
CHEATS = [
    ("hides its end", "import os\ndef f(x): os._exit(0)"),
    ("exits", "import sys\nsys.exit(0)"),
    ("exits hard", "import os\nos._exit(0)"),
    ("exits when called", "import sys\ndef f(x): sys.exit(0)"),
    ("exits hard when called", "import os\ndef f(x): os._exit(0)"),
    ("interrupts", "def f(x): raise KeyboardInterrupt"),
    ("ends a generator", "def f(x): raise GeneratorExit"),
    ("stops", "def f(x): raise StopIteration"),
    ("asserts", "def f(x): raise AssertionError"),
    ("equals anything", f"{EQUALS}\ndef f(x): return Anything()"),
    ("a list that equals anything", f"{EQUALS}\nclass L(list): __eq__ = Anything.__eq__\ndef f(x): return L()"),
    (
        "an int that equals anything",
        f"{EQUALS}\nclass I(int): __eq__ = __lt__ = Anything.__eq__\ndef f(x): return I()",
    ),
    (
        "a float like any",
        f"{EQUALS}\n"
        f"class F(float):\n"
        f"    __sub__ = Anything.__sub__\n"
        f"    __abs__ = Anything.__float__\n"
        f"def f(x): return F()",
    ),
    (
        "a class instead",
        f"{EQUALS}\nclass M(type): __eq__ = Anything.__eq__\nclass f(metaclass=M):\n    def __init__(self, x): pass",
    ),
    (
        "builtins of its own",
        "import builtins\n"
        "for n in ('len', 'abs', 'sorted', 'all', 'isinstance', 'print', 'str', 'AssertionError'):\n"
        "    setattr(builtins, n, lambda *a: True)\n"
        "def f(x): return 0",
    ),
    (
        "names of builtins",
        "def abs(x): return 0\n"
        "def len(x): return 0\n"
        "def sorted(x): return [1, 2]\n"
        "class AssertionError(Exception): pass\n"
        "def f(x): return 0.0",
    ),
    ("comparisons of its own", "def isclose(a, b, **k): return True\ndef fabs(x): return 0\ndef f(x): return 0.0"),
    ("comparisons by another name", "from operator import is_not as isclose\ndef f(x): return 0.0"),
    ("a module by another name", "import operator as math\nmath.isclose = lambda *a: True\ndef f(x): return 0.0"),
    ("a module of its own", "class math:\n    isclose = staticmethod(lambda *a: True)\ndef f(x): return 0.0"),
    (
        "an assertion counter",
        "def __counted__(): pass\ndef check(candidate): assert True\ndef test_it(): assert True\ndef f(x): return 0",
    ),
    ("at its end", "import atexit, os\natexit.register(os._exit, 0)"),
    ("traces", "import sys\nsys.settrace(lambda *a: os._exit(0))\ndef f(x): return 0"),
    (
        "writes to all it has",
        "import os\n"
        "for n in range(64):\n"
        '    for t in (b\'ready\\n\', b\'{"outcome": "passed", "message": "", "n_asserts": 9, "n_calls": '
        "9}'):\n"
        "        try: os.write(n, t)\n"
        "        except OSError: pass\n"
        "os._exit(0)",
    ),
    ("prints that it passed", 'print(\'{"outcome": "passed", "message": ""}\')\nimport os\nos._exit(0)'),
    (
        "looks for what is expected",
        "import gc\n"
        "def needles(): return bytes.fromhex('3938373635').decode(), bytes.fromhex('534543524554').decode()\n"
        "def f(x): return int(needles()[0]) if any(isinstance(o, (dict, list, tuple)) and all(n in str(o) "
        "for n in needles()) for o in gc.get_objects()) else 0",
    ),
    (
        "looks through frames",
        "import sys\n"
        "def f(x):\n"
        "    frame = sys._getframe()\n"
        "    while frame:\n"
        "        for v in frame.f_globals.values():\n"
        "            if bytes.fromhex('534543524554203d203938373635').decode() in str(v): return 98765\n"
        "        frame = frame.f_back\n"
        "    return 0",
    ),
    (
        "reads the descriptors",
        "import os\n"
        "text = b''\n"
        "for n in range(64):\n"
        "    try:\n"
        "        os.lseek(n, 0, 0)\n"
        "        text += os.read(n, 10**6)\n"
        "    except OSError: pass\n"
        "def f(x): return 98765 if b'98765' in text else 0",
    ),
    (
        "kills the tests",
        "import os, signal\ntry: os.kill(os.getppid(), signal.SIGKILL)\nexcept OSError: pass\ndef f(x): return 0",
    ),
    (
        "patches the wire",
        "import sys\n"
        "w = sys.modules['synth.sandboxes.code_wire']\n"
        "w.Peer.encode = lambda self, v: ['yours', 0]\n"
        "def f(x): return 0",
    ),
    (
        "answers with what equals anything",
        "import sys\n"
        "w = sys.modules['synth.sandboxes.code_wire']\n"
        "w.Peer.encode = lambda self, v: ['imported', 'unittest.mock', 'ANY'] if v == 0 else self.refer(v)\n"
        "def f(x): return 0",
    ),
    (
        "defines what equals anything",
        "import sys\n"
        "w = sys.modules['synth.sandboxes.code_program']\n"
        "w._definitions = lambda peer, found: [['f', ['imported', 'unittest.mock', 'ANY']], ['f', peer.refer(f)]]\n"
        "def f(x): return 0",
    ),
    (
        "defines all builtins",
        "import sys\n"
        "w = sys.modules['synth.sandboxes.code_program']\n"
        "yes = lambda *a, **k: 0\n"
        "w._definitions = lambda peer, found: [['f', peer.refer(f)], ['__builtins__', ['dict', [[n, peer.refer(yes)] "
        "for n in ('abs', 'len', 'sorted', 'round', '__import__', '__build_class__')]]], "
        "['__counted__', peer.refer(yes)], ['unittest', peer.refer(yes)], ['math', peer.refer(yes)]]\n"
        "def f(x): return 0",
    ),
    (
        "a Counter of its own",
        "class Counter:\n    def __init__(self, *a): pass\n    def __eq__(self, o): return True\ndef f(x): return 0",
    ),
    (
        "asks the tests",
        "import sys\n"
        "for frame in sys._current_frames().values():\n"
        "    pass\n"
        "import gc\n"
        "peer = [o for o in gc.get_objects() if type(o).__name__ == '_Program'][0]\n"
        "def f(x):\n"
        "    peer.send(['get', ['yours', 0], '__globals__'])\n"
        "    return 0",
    ),
    (
        "sends nonsense",
        "import gc\n"
        "peer = [o for o in gc.get_objects() if type(o).__name__ == '_Program'][0]\n"
        "import os\n"
        "os.write(peer._writes, b'x' * 1000)\n"
        "def f(x): return 0",
    ),
    (
        "sends much",
        "import gc\n"
        "peer = [o for o in gc.get_objects() if type(o).__name__ == '_Program'][0]\n"
        "import os\n"
        "os.write(peer._writes, (1 << 60).to_bytes(8, 'little'))\n"
        "def f(x): return 0",
    ),
    ("nests deeply", "def f(x):\n    r = []\n    for _ in range(100_000): r = [r]\n    return r"),
    ("a list in itself", "def f(x):\n    r = []\n    r.append(r)\n    return r"),
    ("nothing", ""),
    ("no Python", "def f(x) return"),
    ("a word", "passed"),
]
TESTS = [
    "SECRET = 98765\nassert f(3) == SECRET",
    "import math\nassert math.isclose(f(3), 98765.0)",
    "assert isclose(f(3), 98765.0)",
    "assert abs(f(3) - 98765.0) < 1e-6",
    "assert sorted(f(3)) == [98765]",
    "assert 98765 in f(3)",
    "assert round(f(3)) == 98765",
    "assert f(3) in (98765, 98766)",
    "assert len(f(3)) == 98765",
    "assert math.isclose(f(3), 98765.0)",
    "assert Counter([f(3)]) == Counter([98765])",
    "try:\n    f(3)\nexcept:\n    pass\nassert f(3) == 98765",
    "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(f(3), 98765)",
    "def check(candidate):\n    assert candidate(3) == 98765, 'x'",
]
