"""Small projects give the same reports with tests and program in two processes as with both in one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import split_kit

_SECTION = re.compile(r"(?ms)^=== (\w+): ([^\n]+)\n(.*?)^--- tests\n(.*?)(?=^=== |\Z)")
PROJECTS = _SECTION.findall(Path(__file__).with_name("split_projects.txt").read_text(encoding="utf-8"))
NAMES = {f"prog_{number}": name for number, (_, name, _, _) in enumerate(PROJECTS)}
SERVED = [module for module, (kind, _, _, _) in zip(NAMES, PROJECTS, strict=True) if kind == "same"]
NOT_SERVED = [module for module, (kind, _, _, _) in zip(NAMES, PROJECTS, strict=True) if kind == "unservable"]

# Layouts, paths and files that one module beside one test does not have.
TREE_PROGRAM = {
    "pkg/__init__.py": "from .sub import f as g0\nX = 3\n\ndef g():\n    return 2\n",
    "pkg/sub.py": "def f():\n    return 1\n",
    "ns/a.py": "def f():\n    return 1\n",
    "ns/b.py": "from ns.a import f\n\ndef g():\n    return f() + 1\n",
    "ns/c/d.py": "def h():\n    return 3\n",
    "mixed/__init__.py": "",
    "mixed/mod.py": "def f():\n    return 1\n",
    "src/mod.py": "import other\n\ndef f():\n    return other.one\n",
    "src/other.py": "one = 1\n",
    "lib/node.py": "N = 2\n",
    "things.py": "def make(n):\n    return {'n': n}\n",
    "broken.py": "import crash\n",
    "crash.py": "def f():\n    return 1\n\nf()[0]\n",
    "crlf.py": "def f(x):\r\n\tif x:\r\n\t\treturn 1/0\r\n",
    "bom.py": "\ufeffdef f(x):\n    return 1/0\n",
    "latin.py": "# -*- coding: latin-1 -*-\ndef f(x):\n    return '\u00e9' + 1\n",
    "feed.py": "x=1\n\x0cdef f(x):\n    return 1/0\n",
    "data.txt": "x",
    "reads.py": "def f():\n    return open('data.txt').read()\n",
    "limits.py": "import sys\nsys.setrecursionlimit(5000)\n\ndef f(n):\n    return n and f(n - 1)\n",
}
TREE_TESTS = {
    "conftest.py": "import os, sys\nimport pytest\nfrom things import make\n"
    "sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'src'))\n\n"
    "@pytest.fixture(params=[1, 2])\ndef thing(request):\n    return make(request.param)\n",
    "tests/test_pkg.py": "import pkg\nimport pkg.sub as s\nfrom pkg import g, sub\nfrom pkg.sub import f\n\n"
    "def test_pkg():\n    assert f() == 1 and s.f is f and sub is s and g() == 2 and pkg.X == 3 and pkg.g0 is f\n",
    "tests/test_ns.py": "from ns.a import f\nfrom ns import b\nimport ns.c.d\n\n"
    "def test_ns():\n    assert f() == 1 and b.g() == 2 and ns.c.d.h() == 3\n",
    "tests/node.py": "N = 1\n",
    "tests/test_shadow.py": "from node import N\n\ndef test_shadow():\n    assert N == 1\n",
    "mixed/tests/__init__.py": "",
    "mixed/tests/util.py": "V = 1\n",
    "mixed/tests/test_mixed.py": "from mixed.mod import f\nfrom mixed.tests import util\nfrom .util import V\n\n"
    "def test_mixed():\n    assert f() == util.V == V\n",
    "tests/test_src.py": "from mod import f\n\ndef test_src():\n    assert f() == 1\n",
    "tests/test_things.py": "def test_thing(thing):\n    assert thing['n'] in (1, 3)\n",
    "tests/test_broken.py": "from broken import x\n",
    "tests/test_texts.py": "import importlib\nimport pytest\n\n"
    "@pytest.mark.parametrize('name', ['crlf', 'bom', 'latin', 'feed'])\n"
    "def test_text(name):\n    importlib.import_module(name).f(1)\n",
    "tests/test_reads.py": "import reads\n\ndef test_reads():\n    assert reads.f() == 'x'\n",
    "tests/test_limits.py": "import limits\n\ndef test_limits():\n    assert limits.f(3000) == 0\n",
}

ALONE = {
    "exit at import": ("import sys\nsys.exit(3)\n", "from prog import y\n"),
    "pytest.exit in a call": (
        "import pytest\n\ndef f():\n    pytest.exit('enough', 7)\n",
        "from prog import f\n\ndef test_one():\n    f()\n\ndef test_two():\n    pass\n",
    ),
    "KeyboardInterrupt": (
        "def f():\n    raise KeyboardInterrupt\n",
        "from prog import f\n\ndef test_one():\n    f()\n",
    ),
    "recursion limit of the tests": (
        "def f(n):\n    return n and f(n - 1)\n",
        "import sys\nfrom prog import f\nsys.setrecursionlimit(5000)\n\ndef test_one():\n    assert f(3000) == 0\n",
    ),
    "random numbers of the tests' own": (
        "def f(a):\n    return sorted(a)\n",
        "import random\nfrom prog import f\n\ndef test_one():\n    random.seed(1)\n"
        "    a = [random.random() for _ in range(50)]\n    assert f(a) == sorted(a)\n",
    ),
    "random numbers of the program's own": (
        "import random\n\ndef f(a):\n    return random.choice([a])\n",
        "from prog import f\n\ndef test_one():\n    assert f(3) == 3\n",
    ),
}


def _named(files: Mapping[str, str], name: str) -> dict[str, str]:
    return {path: re.sub(r"\bprog\b", name, text) for path, text in files.items()}


def _run(folder: Path, tests: Mapping[str, str], program: Mapping[str, str], *, split: bool) -> split_kit.Result:
    (folder / str(split)).mkdir()
    return split_kit.run(folder / str(split), tests, program, split=split)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[split_kit.Result, split_kit.Result]:
    """All small projects in one session: plain and split."""
    tests: dict[str, str] = {}
    program: dict[str, str] = {}
    for name, (_, _, source, test) in zip(NAMES, PROJECTS, strict=True):
        program |= _named({f"{name}.py": source}, name)
        tests |= _named({f"test_{name}.py": test}, name)
    folder = tmp_path_factory.mktemp("projects")
    return _run(folder, tests, program, split=False), _run(folder, tests, program, split=True)


def _of(result: split_kit.Result, module: str) -> list[split_kit.Report]:
    return [report for report in result.reports if report.id.partition("::")[0] == f"test_{module}.py"]


@pytest.mark.parametrize("module", SERVED, ids=NAMES.get)
def test_same_reports(module: str, results: tuple[split_kit.Result, split_kit.Result]) -> None:
    plain, split = (_of(result, module) for result in results)
    assert plain, results[0].output
    assert split == plain, results[1].output


@pytest.mark.parametrize("module", NOT_SERVED, ids=NAMES.get)
def test_what_cannot_be_split_is_noted(module: str, results: tuple[split_kit.Result, split_kit.Result]) -> None:
    plain, split = (_of(result, module) for result in results)
    assert all(report.outcome == "passed" for report in plain)
    assert any(report.unservable for report in split), split


def test_layouts(tmp_path: Path) -> None:
    plain, split = (_run(tmp_path, TREE_TESTS, TREE_PROGRAM, split=split) for split in (False, True))
    assert {report.outcome for report in plain.reports if report.when == "call"} == {"passed", "failed"}
    assert split == plain


@pytest.mark.parametrize("name", ALONE)
def test_same_ends(name: str, tmp_path: Path) -> None:
    program, tests = ALONE[name]
    plain, split = (
        _run(tmp_path, {"test_prog.py": tests}, {"prog.py": program}, split=split) for split in (False, True)
    )
    assert plain.reports or plain.code
    assert split == plain


@pytest.mark.parametrize(
    ("program", "tests", "files", "reason"),
    [
        (
            "def f():\n    return open('data.txt').read()\n",
            "def test_it():\n    assert prog.f()\n",
            "data.txt",
            "data.txt",
        ),
        (
            "try:\n    import helper\nexcept ImportError:\n    helper = None\n",
            "def test_it():\n    assert prog.helper is None\n",
            "helper.py",
            "helper.py",
        ),
        (
            "import random\ndef f():\n    return random.random()\n",
            "import random\ndef test_it():\n    random.seed(1)\n    prog.f()\n",
            "other.py",
            "seed",
        ),
    ],
)
def test_what_only_the_tests_have_is_noted(program: str, tests: str, files: str, reason: str, tmp_path: Path) -> None:
    split = _run(tmp_path, {"test_prog.py": "import prog\n" + tests, files: ""}, {"prog.py": program}, split=True)
    assert any(reason in note for report in split.reports for note in report.unservable)


def test_the_worker_ends(tmp_path: Path) -> None:
    program = {"prog.py": "import os\ndef f():\n    os._exit(0)\n"}
    split = _run(tmp_path, {"test_prog.py": "from prog import f\ndef test_it():\n    f()\n"}, program, split=True)
    assert (split.reports, split.code) == ((), 3)
