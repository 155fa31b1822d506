"""Rows of benchmarks of code, written for the tests in the columns of the published datasets."""

from typing import Any

HUMANEVAL: list[dict[str, Any]] = [
    {
        "task_id": "Hand/0",
        "prompt": "from typing import List\n\n\ndef above(numbers: List[float], limit: float) -> List[float]:\n"
        '    """ Numbers above a limit, in their order.\n    >>> above([1.0, 3.0], 2.0)\n    [3.0]\n    """\n',
        "canonical_solution": "    return [x for x in numbers if x > limit]\n",
        "test": "\n\nMETADATA = {'author': 'hand', 'dataset': 'test'}\n\n\ndef check(candidate):\n"
        "    assert candidate([1.0, 3.0], 2.0) == [3.0]\n    assert candidate([], 2.0) == []\n"
        "    assert candidate([5.0, 1.0, 4.0], 3.5) == [5.0, 4.0]\n",
        "entry_point": "above",
    },
    {
        "task_id": "Hand/1",
        "prompt": "import math\n\n\ndef poly(xs: list, x: float):\n"
        '    """\n    Value of a polynomial.\n    """\n'
        "    return sum([coeff * math.pow(x, i) for i, coeff in enumerate(xs)])\n\n\ndef root(xs: list):\n"
        '    """ A root of a + b x.\n    >>> root([1, 2])\n    -0.5\n    """\n',
        "canonical_solution": "    return -xs[0] / xs[1]\n",
        "test": "def check(candidate):\n    import copy\n    import random\n    rng = random.Random(42)\n"
        "    for _ in range(20):\n        coeffs = [rng.randint(-10, 10), rng.randint(1, 10)]\n"
        "        solution = candidate(copy.deepcopy(coeffs))\n        assert abs(poly(coeffs, solution)) < 1e-6\n",
        "entry_point": "root",
    },
    {
        "task_id": "Hand/2",
        "prompt": 'def 뒤집기(글: str) -> str:\n    """ 글을 뒤집는다.\n    """\n',
        "canonical_solution": "    return 글[::-1]\n",
        "test": "def check(candidate):\n    assert candidate('가나다') == '다나가'\n    assert candidate('') == ''\n",
        "entry_point": "뒤집기",
    },
]
FLOATS = """
import numpy as np
from math import inf

def is_floats(x) -> bool:
    if isinstance(x, float):
        return True
    if isinstance(x, (list, tuple)):
        return all(isinstance(i, float) for i in x)
    if isinstance(x, np.ndarray):
        return x.dtype == np.float64 or x.dtype == np.float32
    return False

def near(out, exp, atol):
    if atol == 0 and is_floats(exp):
        atol = 1e-6
    if out != exp and atol != 0:
        assert np.allclose(out, exp, rtol=1e-07, atol=atol)
    else:
        assert out == exp, f"out: {out}, exp: {exp}"

"""
"""In the manner of EvalPlus, which compares floats by NumPy."""
HUMANEVAL_PLUS: list[dict[str, Any]] = [
    {
        **HUMANEVAL[0],
        "test": FLOATS + "def check(candidate):\n    inputs = [[[1.0, 3.0], 2.0], [[inf, 1.0], 0.5], [[], 1.0]]\n"
        "    results = [[3.0], [inf, 1.0], []]\n    for i, (inp, exp) in enumerate(zip(inputs, results)):\n"
        "        near(candidate(*inp), exp, 0)\n",
    },
    {
        "task_id": "Hand/3",
        "prompt": 'def thirds(n: int) -> list:\n    """ n numbers 1/3. """\n',
        "canonical_solution": "    return [1 - 2 / 3] * n\n",
        "test": FLOATS + "def check(candidate):\n    inputs = [[0], [2]]\n    results = [[], [1 / 3, 1 / 3]]\n"
        "    for i, (inp, exp) in enumerate(zip(inputs, results)):\n        near(candidate(*inp), exp, 0)\n",
        "entry_point": "thirds",
    },
]
MBPP: list[dict[str, Any]] = [
    {
        "task_id": 9001,
        "text": "Write a function to find the sum of common divisors of two given numbers.",
        "code": "def sum(a,b): \r\n    total = 0 \r\n    for i in range (1,min(a,b)): \r\n"
        "        if (a % i == b % i == 0): \r\n            total += i \r\n    return total",
        "test_list": ["assert sum(10,15) == 6", "assert sum(100,150) == 93", "assert sum(4,6) == 3"],
        "test_setup_code": "",
        "challenge_test_list": [],
    },
    {
        "task_id": 9002,
        "text": "Write a function to find the height of a tree.",
        "code": "class Node: \r\n\tdef __init__(self, data): \r\n\t\tself.data = data \r\n\t\tself.left = None \r\n"
        "\t\tself.right = None \r\n\r\ndef height(node): \r\n\tif node is None: \r\n\t\treturn 0 \r\n"
        "\treturn 1 + max(height(node.left), height(node.right))",
        "test_list": [
            "assert (height(root)) == 3",
            "assert height(root.left) == 2",
            "assert height(root.right) == 1",
        ],
        "test_setup_code": "root = Node(1) \r\nroot.left = Node(2) \r\nroot.right = Node(3) \r\n"
        "root.left.left = Node(4)",
        "challenge_test_list": [],
    },
]
MBPP_PLUS: list[dict[str, Any]] = [
    {
        "task_id": 9003,
        "prompt": "Write a function to find the mean of a list of numbers.",
        "code": "\ndef mean(xs):\n  return sum(xs) / len(xs)\n",
        "test_list": ["assert mean([1, 2]) == 1.5", "assert mean([3]) == 3.0", "assert mean([0.1] * 3) > 0"],
        "test": FLOATS + "inputs = [[[1, 2]], [[0.1, 0.1, 0.1]], [[1e10, 1.0]]]\nresults = [1.5, 0.1, 5000000000.5]\n"
        "for i, (inp, exp) in enumerate(zip(inputs, results)):\n    near(mean(*inp), exp, 0)\n",
    },
]
