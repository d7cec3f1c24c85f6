"""Which tests may do without the hooks of pytest's whole protocol."""

from __future__ import annotations

import pytest

from pytest_repoagent.testrun.warm import plain_tests

PLAIN = {
    "a function": "def test(): pass",
    "parameters": "@pytest.mark.parametrize('x, y', [(1, 2), (3, 4)])\ndef test(x, y): assert y == x + 1",
    "parameters twice": "@pytest.mark.parametrize('x', [1])\n@pytest.mark.parametrize('y', [2])\ndef test(x, y): pass",
    "an unknown mark": "@pytest.mark.other\ndef test(): pass",
    "an unused fixture": "@pytest.fixture\ndef f(): pass\ndef test(): pass",
    "skips itself": "def test(): pytest.skip('not now')",
}
NOT_PLAIN = {
    "a fixture": "def test(tmp_path): pass",
    "an automatic fixture": "@pytest.fixture(autouse=True)\ndef f(): pass\ndef test(): pass",
    "a set-up of the module": "def setup_module(): pass\ndef test(): pass",
    "a set-up of each function": "def setup_function(): pass\ndef test(): pass",
    "a class": "class TestIt:\n    def test(self): pass",
    "unittest": "import unittest\nclass It(unittest.TestCase):\n    def test(self): pass",
    "skip": "@pytest.mark.skip\ndef test(): pass",
    "skipif": "@pytest.mark.skipif('1 == 1', reason='so it is')\ndef test(): pass",
    "skip of the module": "pytestmark = pytest.mark.skip\ndef test(): pass",
    "skip of a parameter": (
        "@pytest.mark.parametrize('x', [pytest.param(1, marks=pytest.mark.skip)])\ndef test(x): pass"
    ),
    "xfail": "@pytest.mark.xfail\ndef test(): pass",
    "filterwarnings": "@pytest.mark.filterwarnings('ignore')\ndef test(): pass",
    "usefixtures": "@pytest.mark.usefixtures('tmp_path')\ndef test(): pass",
    "parameters through a fixture": (
        "@pytest.fixture\ndef x(request): return 2\n"
        "@pytest.mark.parametrize('x', [1], indirect=True)\ndef test(x): assert x == 2"
    ),
    "parameters of its own making": (
        "@pytest.fixture\ndef x(request): return 2\n"
        "def pytest_generate_tests(metafunc): metafunc.parametrize('x', [1], indirect=True)\ndef test(x): assert x == 2"
    ),
    "a coroutine": "async def test(): pass",
    "no test": "pass",
    "one of two": "def test(): pass\ndef test_two(tmp_path): pass",
}


class _Look:
    __module__ = "pytest_repoagent.testrun.tests"

    def __init__(self) -> None:
        self.found: bool | None = None

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.found = plain_tests.are_plain(session, ())


def found(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, test: str, *args: str) -> bool | None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile("import pytest\n" + test)
    look = _Look()
    known = ("-W", "ignore::pytest.PytestUnknownMarkWarning")
    pytester.inline_run("-p", "no:cacheprovider", *known, *args, plugins=[look])
    return look.found


@pytest.mark.parametrize("name", PLAIN)
def test_plain(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert found(pytester, monkeypatch, PLAIN[name]) is True


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_not_plain(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert found(pytester, monkeypatch, NOT_PLAIN[name]) is False


@pytest.mark.parametrize(
    ("hook", "plain"),
    [
        ("pytest_configure(config)", True),
        ("pytest_addoption(parser)", True),
        ("pytest_collection_modifyitems(items)", True),
        ("pytest_runtest_setup(item)", False),
        ("pytest_runtest_makereport(item)", False),
        ("pytest_pyfunc_call(pyfuncitem)", False),
        ("pytest_assertrepr_compare(op)", False),
        ("pytest_fixture_setup(request)", False),
    ],
)
def test_hooks_of_others(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, hook: str, plain: bool) -> None:
    pytester.makeconftest(f"def {hook}: pass")
    assert found(pytester, monkeypatch, PLAIN["a function"]) is plain


def test_options_of_the_project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makeini("[pytest]\naddopts = --setup-show\n")
    assert found(pytester, monkeypatch, PLAIN["a function"]) is False
