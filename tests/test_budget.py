"""What a run may spend: one account, however many processes, and what it leaves is made later."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from eval_kit import NAMES, make_project, run, stored
from loopback import Answer, LoopbackServer

from pytest_repoagent.budget import Account, Bounds, cost_usd
from pytest_repoagent.errors import BudgetReached, UsageError
from pytest_repoagent.models.base import Usage
from pytest_repoagent.prices import describe, price_of

EACH_PROCESS = pytest.mark.parametrize("n", ["-n0", "-n2"])
FINAL = '{"type":"final","summary":"done","changes":[]}'
LIST = '{"type":"tool_call","name":"list_files","args":{"rel_dir":".","max_files":9}}'
PROMPT, COMPLETION = 90, 10
"""Tokens of every call in these tests."""


def spent(account: Account) -> tuple[int, int]:
    with account._open() as balance:
        return balance.tokens, balance.under_way


def test_a_bound_is_reached_by_what_is_spent_and_reserved(tmp_path: Path) -> None:
    account = Account(tmp_path / "account")
    bounds = Bounds(tokens=250)
    account.begin_call(bounds)
    account.begin_call(bounds)  # nobody knows yet what a call takes
    account.end_call(Usage(90, 10), None)
    account.begin_call(bounds)  # 100, and another 100 that is under way
    with pytest.raises(BudgetReached, match=r"the run's --max-total-tokens=250 is reached, after 100 tokens and \$0"):
        account.begin_call(bounds)  # 100, and another 200
    account.end_call(None, None)  # a call without a reply costs nothing
    account.begin_call(bounds)
    account.close()
    assert spent(account) == (100, 2)
    account.forget_calls_under_way()
    assert spent(account) == (100, 0)


def test_money_and_time_are_bounds_too(tmp_path: Path) -> None:
    account = Account(tmp_path / "account")
    account.begin_call(Bounds(usd=1.0))
    account.end_call(Usage(1, 1), 1.0)
    with pytest.raises(BudgetReached, match="--max-usd=1 is reached"):
        account.begin_call(Bounds(usd=1.0))
    account.begin_call(Bounds(usd=1.01, until=time.time() + 60))
    with pytest.raises(BudgetReached, match="--max-minutes is reached"):
        account.begin_call(Bounds(until=time.time()))


def test_a_model_that_counts_nothing_cannot_be_bound() -> None:
    Bounds(until=1.0).check_counted("m", None)
    Bounds(tokens=1).check_counted("m", Usage(1, 1))
    with pytest.raises(UsageError, match="m counts no tokens, so --max-total-tokens cannot be kept"):
        Bounds(tokens=1).check_counted("m", None)


def test_an_account_is_kept_by_threads_and_processes_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pytest_repoagent.budget import *\n"
        "account = Account(Path(sys.argv[1]))\n"
        "for _ in range(500): account.begin_call(Bounds()); account.end_call(Usage(2, 1), 0.5)\n"
    )
    path = tmp_path / "account"
    others = [subprocess.Popen([sys.executable, "-c", code, path]) for _ in range(2)]
    account = Account(path)

    def work() -> None:
        for _ in range(250):
            account.begin_call(Bounds())
            account.end_call(Usage(2, 1), 0.5)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [other.wait(60) for other in others] == [0, 0]
    with account._open() as balance:
        assert (balance.usd, balance.tokens, balance.calls, balance.under_way) == (1000.0, 6000, 2000, 0)


def test_a_price_is_the_users_or_the_tables_or_unknown() -> None:
    assert cost_usd(Usage(1_000_000, 2_000_000), (1.0, 0.5)) == 2.0
    assert cost_usd(None, (1.0, 1.0)) is cost_usd(Usage(1, 1), None) is None
    spec = "together:Qwen/Qwen2.5-7B-Instruct-Turbo"
    known = price_of(spec, None)
    assert known is not None
    assert known.as_of is not None
    assert re.fullmatch(
        r"together:\S+ costs \$0\.3 and \$0\.3 for a million .* tokens, as of 20\d\d-..-..", describe(spec, known)
    )
    given = price_of(spec, (1.0, 2.0))
    assert describe(spec, given).endswith("costs $1 and $2 for a million prompt and completion tokens")
    assert "only tokens are counted; give --price" in describe("openai:x", price_of("openai:x", None))


def counted(text: str, delay_s: float = 0.0) -> Answer:
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": PROMPT, "completion_tokens": COMPLETION}
    return Answer(body={"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}, delay_s=delay_s)


def respond(body: dict[str, Any]) -> Answer:
    return counted(LIST if len(body["messages"]) == 2 else FINAL, delay_s=0.02)


@EACH_PROCESS
@pytest.mark.parametrize("k", [1, 4])
def test_a_run_keeps_its_budget_and_the_rest_is_made_with_a_higher_one(
    pytester: pytest.Pytester, n: str, k: int
) -> None:
    make_project(pytester, NAMES)
    with LoopbackServer(respond, models=["tiny"]) as server:
        args = [n, "--model=openai:tiny", f"--base-url={server.url}", f"--concurrency={k}", "--test-policy=never"]
        args += ["--rollouts=3", "--price=1000,1000"]
        result = run(pytester, *args, "--max-usd=1.95")
        calls = len(server.chats)
        in_flight = k * (2 if n == "-n2" else 1)
        assert 20 - in_flight <= calls <= 19 + in_flight
        assert result.ret == 1
        rows = stored(
            pytester,
            "SELECT outcome, counted, cause, count(*), sum(cost_usd) FROM rollouts GROUP BY ALL ORDER BY outcome",
        )
        assert [row[:3] for row in rows] == [("budget", False, "budget"), ("final", True, None)]
        cut, done = rows[0][3], rows[1][3]
        assert cut + done == 24
        assert sum(row[4] or 0 for row in rows) == pytest.approx(calls / 10)
        result.assert_outcomes(passed=done, skipped=cut)
        result.stdout.fnmatch_lines([f"{cut} rollouts are missing, the budget is spent: --resume=* with a higher one"])
        again = run(pytester, *args, "--max-usd=1.95", "--resume=last")
        assert len(server.chats) == calls
        again.assert_outcomes(passed=done, skipped=cut)
        whole = run(pytester, *args, "--max-usd=100", "--resume=last")
        whole.assert_outcomes(passed=24)
        whole.stdout.no_fnmatch_line("*are missing*")
        assert whole.ret == 0
    assert stored(pytester, "SELECT count(*), count(DISTINCT (task_id, rollout)) FROM rollouts WHERE counted") == [
        (24, 24)
    ]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--max-usd=1"], "--max-usd cannot be kept: no price is known for oracle; give --price=IN,OUT"),
        (["--max-usd=0"], "--max-usd=0 cannot be used: *"),
        (["--max-total-tokens=many"], "--max-total-tokens=many cannot be used: *"),
        (["--max-minutes=-1"], "--max-minutes=-1 cannot be used: *"),
    ],
)
def test_a_budget_that_cannot_be_kept_is_a_usage_error(pytester: pytest.Pytester, args: list[str], says: str) -> None:
    make_project(pytester)
    result = run(pytester, "--model=oracle", *args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {says}"])


def test_a_model_that_counts_no_tokens_stops_a_bound_session(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    result = run(pytester, "--model=oracle", "--max-total-tokens=100", "--test-policy=never")
    result.stdout.fnmatch_lines(["*oracle counts no tokens, so --max-total-tokens cannot be kept: leave it out*"])


def test_when_the_time_is_up_the_rest_is_left(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    result = run(pytester, "--model=fake:slow@0.7", "--max-minutes=0.02", "--test-policy=never")
    assert result.ret == 1
    rows = dict(stored(pytester, "SELECT outcome, count(*) FROM rollouts GROUP BY ALL"))
    assert rows["budget"] >= 1
    assert sum(rows.values()) == 4
    assert stored(pytester, "SELECT DISTINCT error FROM rollouts WHERE outcome = 'budget'")[0][0].startswith(
        "the run's --max-minutes is reached"
    )


def test_the_header_says_what_tokens_cost(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    with LoopbackServer(respond, models=["tiny"]) as server:
        args = ["--model=openai:tiny", f"--base-url={server.url}", "-k", "alpha", "--test-policy=never"]
        run(pytester, *args).stdout.fnmatch_lines(["repoagent: no price is known for openai:tiny, so only tokens *"])
        run(pytester, *args, "--price=1,2").stdout.fnmatch_lines(["repoagent: openai:tiny costs $1 and $2 for *"])
