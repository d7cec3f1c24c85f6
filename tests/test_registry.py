from __future__ import annotations

from typing import get_args

import pytest
from eval_kit import make_project, run, stored

from pytest_repoagent.errors import ModelConfigError
from pytest_repoagent.registry import built_in
from pytest_repoagent.testrun.base import SandboxMode


@pytest.mark.parametrize(
    ("given", "default", "spec"),
    [
        ("repair", "together", "repair"),
        ("novice:repair", "together", "novice:repair"),
        ("Qwen/Qwen2.5-7B-Instruct-Turbo", "together", "together:Qwen/Qwen2.5-7B-Instruct-Turbo"),
        ("my-model", "openai", "openai:my-model"),
        ("openai:qwen2.5:7b", "together", "openai:qwen2.5:7b"),
    ],
)
def test_a_bare_name_is_a_built_in_model_or_one_of_the_default_provider(given: str, default: str, spec: str) -> None:
    assert built_in(default).resolve(given) == spec


@pytest.mark.parametrize(("given", "default"), [("qwen2.5:7b", "together"), ("my-model", "nobody")])
def test_an_unknown_provider_is_an_error_that_lists_those_there_are(given: str, default: str) -> None:
    with pytest.raises(ModelConfigError, match="but there are only novice, openai, oracle, repair, replay, together"):
        built_in(default).resolve(given)


HOOKS = """
from pytest_repoagent.models.base import Reply
from pytest_repoagent.protocol.actions import ToolSpec
from pytest_repoagent.tools import Tool

CALLS = [
    '{"type":"tool_call","name":"count_lines","args":{"rel_path":"python_programs/alpha.py"}}',
    '{"type":"final","summary":"counted","changes":[]}',
]

class Counter:
    def check(self): pass
    def start(self, key): return self
    def reply(self, messages):
        assert "count_lines" in messages[0]["content"]
        return Reply(CALLS[sum(m["role"] == "assistant" for m in messages)])

def count_lines(workspace, args):
    return str(len(workspace.excerpt(args["rel_path"], 1000).text.splitlines()))

def pytest_repoagent_models():
    return {"counter": lambda name, context: Counter()}

def pytest_repoagent_tools():
    return [Tool(ToolSpec("count_lines", {"rel_path": str}, "count lines", {"rel_path": "a.py"}), count_lines)]
"""


def test_hooks_add_models_and_tools(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    pytester.makeconftest(HOOKS)
    run(pytester, "--model=counter", "-k", "alpha", "--test-policy=never").assert_outcomes(passed=1)
    assert stored(pytester, "SELECT tool, result, strict_valid FROM steps WHERE step = 0") == [
        ("count_lines", "2", True)
    ]


def test_the_reference_runner_has_no_sandbox_whatever_was_asked_for() -> None:
    for mode in get_args(SandboxMode):
        runner = built_in().runner("subprocess", mode)
        assert (runner.name, runner.sandbox) == ("subprocess", "none")


def test_a_hook_may_not_take_a_name_that_is_there(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    pytester.makeconftest("def pytest_repoagent_models(): return {'repair': None}")
    result = run(pytester, "--model=repair")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: a hook adds the model provider 'repair', which there is already*"])
