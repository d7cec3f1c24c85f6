from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_repoagent.options import OPTIONS

SHOW = """
def test_show(pytestconfig):
    print()
    print("THEIRS", pytestconfig.getoption("theirs"))
    print("MODEL", pytestconfig.getoption("repoagent_model"))
"""
HEAVY = ("duckdb", "pydantic", "together", "httpx", "rich", "re2", "filelock", "pytest_repoagent.session")


def test_help_shows_both_forms_of_every_option(pytester: pytest.Pytester) -> None:
    text = pytester.runpytest("--help").stdout.str()
    for option in OPTIONS:
        assert f"--repoagent-{option.name}" in text
        assert f"  --{option.name}" in text


@pytest.mark.parametrize("given", ["--model=nonsense:x", "--repoagent-model=nonsense:x"])
def test_both_forms_set_the_same_value(pytester: pytest.Pytester, given: str) -> None:
    result = pytester.runpytest(given)
    result.stderr.fnmatch_lines(["ERROR: --model=nonsense:x names the provider 'nonsense', *"])


@pytest.mark.parametrize("where", ["conftest", "plugin before", "plugin after"])
def test_the_short_form_gives_way_to_whoever_else_owns_it(pytester: pytest.Pytester, where: str) -> None:
    other = "def pytest_addoption(parser): parser.addoption('--model', dest='theirs')\n"
    pytester.makepyfile(test_show=SHOW)
    args = ["-s", "--model=mine"]
    if where == "conftest":
        pytester.makeconftest(other)
    else:
        pytester.makepyfile(other_plugin=other)
        pytester.syspathinsert()
        if where == "plugin before":
            args += ["-p", "other_plugin"]
        else:
            pytester.makeconftest("pytest_plugins = ['other_plugin']")
    result = pytester.runpytest_subprocess(*args)
    result.stdout.fnmatch_lines(["*THEIRS mine", "*MODEL None"])
    assert result.ret == 0


def test_a_session_without_a_model_imports_nothing_heavy_and_writes_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        import sys

        def test_idle():
            assert [name for name in {HEAVY!r} if name in sys.modules] == []
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
    assert not (pytester.path / ".repoagent").exists()


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = f"import sys, pytest_repoagent; print([n for n in {HEAVY!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_a_model_items_that_need_a_rollout_are_not_there(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_needs(rollout): pass\ndef test_other(): pass\n")
    result = pytester.runpytest()
    result.assert_outcomes(passed=1, deselected=1)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--rollouts=0"], "--rollouts=0 cannot be used: Input should be greater than or equal to 1"),
        (["--max-iters=ten"], "--max-iters=ten cannot be used: Input should be a valid integer*"),
        (["--test-policy=sometimes"], "--test-policy=sometimes cannot be used: Input should be 'never', *"),
        (["--window=5"], "--window=5 cannot be used: window is '5', but must be 'full' or 'last_k:N'*"),
        (["--price=1"], "--price=1 cannot be used: *"),
        (["--tool-protocol=native"], "--tool-protocol=native cannot be used: Input should be 'json'"),
        (["--base-url=http://u:pw@h"], "--base-url=[*][*][*] cannot be used: it holds a password*"),
        (["--report=/proc/no.json", "--suite=minibugs_heldout"], "--report=/proc/no.json cannot be written: *"),
        (["--seed=9223372036854775808"], "--seed=9223372036854775808 cannot be used: *"),
        (["--test-timeout=inf"], "--test-timeout=inf cannot be used: *"),
        (["--suite=" + "x" * 300], "*File name too long*"),
        (["--parse=loose"], "--parse=loose cannot be used: Input should be 'strict' or 'lenient'"),
        (["--suite=nonsense"], "there is no suite 'nonsense'*minibugs_heldout*"),
        (["--model=nonsense:x"], "--model=nonsense:x names the provider 'nonsense', but there are only *"),
        (["--runner=nonsense", "--suite=minibugs_heldout"], "--runner=nonsense is unknown; there are subprocess, warm"),
        (["--sandbox=loose"], "--sandbox=loose cannot be used: Input should be 'auto', 'strict' or 'none'"),
        (
            ["--sandbox=strict", "--runner=subprocess", "--suite=minibugs_heldout"],
            "--sandbox=strict wants a full sandbox, but that of --runner=subprocess is none here; `repoagent doctor` *",
        ),
    ],
)
def test_a_wrong_setting_is_one_usage_error_that_names_it(
    pytester: pytest.Pytester, args: list[str], message: str
) -> None:
    result = pytester.runpytest("--model=repair", *args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])
    assert len([line for line in result.stderr.lines if line.strip()]) == 1
    assert not (pytester.path / ".repoagent").exists()


def test_options_are_documented() -> None:
    text = (Path(__file__).parent.parent / "docs/options.md").read_text()
    for option in OPTIONS:
        assert f"`--{option.name}" in text


@pytest.mark.parametrize(
    "theirs",
    [
        "import pytest\n@pytest.fixture\ndef rollout(): return 7\ndef test_x(rollout): assert rollout == 7\n",
        "import pytest\n@pytest.mark.parametrize('rollout', [7])\ndef test_x(rollout): assert rollout == 7\n",
    ],
)
def test_a_rollout_of_somebody_elses_is_left_alone(pytester: pytest.Pytester, theirs: str) -> None:
    pytester.makepyfile(theirs)
    pytester.runpytest().assert_outcomes(passed=1)


def test_an_ini_setting_that_is_wrong_is_named(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nrepoagent_max_parse_errors = -1\n")
    result = pytester.runpytest("--model=repair", "--suite=minibugs_heldout")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: the setting repoagent_max_parse_errors cannot be used: *"])


def test_a_conftest_found_late_may_have_options_of_the_same_name(pytester: pytest.Pytester) -> None:
    folder = pytester.mkpydir("sub")
    (folder / "conftest.py").write_text("def pytest_addoption(parser): parser.addoption('--model', default='theirs')\n")
    (folder / "test_x.py").write_text("def test_x(): pass\n")
    pytester.runpytest().assert_outcomes(passed=1)
