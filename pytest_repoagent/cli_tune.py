"""``repoagent tune`` and ``repoagent jobs``: fine-tuning jobs, and the endpoints that serve what came out of them."""

from __future__ import annotations

import argparse
import re
import shlex
from functools import partial
from pathlib import Path
from typing import Any

from pytest_repoagent.cli_store import show, store_argument
from pytest_repoagent.errors import RepoAgentError, UsageError
from pytest_repoagent.settings import default_store

_UNITS_S = {"s": 1, "m": 60, "h": 3600}
_JOBS = (
    "SELECT job_id, method, base_model, from_job, status, submitted_at, estimate_usd, cost_usd, output_name "
    "FROM jobs ORDER BY submitted_at DESC NULLS LAST, job_id"
)


def add_parser(subparsers: Any) -> None:
    """Add the commands. Each sets ``handler``, which returns an exit code or raises a RepoAgentError."""
    from builders import finetune_together

    tune = subparsers.add_parser("tune", help="fine-tune a model on a dataset, and serve it")
    commands = tune.add_subparsers(dest="what", required=True, metavar="COMMAND")
    together = commands.add_parser("together", help="submit a job to Together; needs TOGETHER_API_KEY")
    methods = together.add_subparsers(dest="method", required=True, metavar="METHOD")
    parser = methods.add_parser("sft", help="learn next actions")
    finetune_together.add_arguments(parser, "sft")
    parser.set_defaults(handler=_submit)
    parser = methods.add_parser("dpo", help="learn which of two next actions is better")
    finetune_together.add_arguments(parser, "dpo")
    parser.set_defaults(handler=_submit)

    parser = _job_command(commands, "watch", "follow a job to its end, from wherever it is", _watch)
    parser = _job_command(commands, "cancel", "stop a job; the steps that are done are paid for", _cancel)
    parser = _job_command(commands, "deploy", "serve a job's model for a while, then remove it", _deploy)
    parser.add_argument(
        "--for", type=_seconds, default="30m", dest="seconds", metavar="TIME", help="such as 30m or 2h (default: 30m)"
    )
    parser.add_argument("--max-usd", type=_amount, required=True, metavar="USD", help="what that may cost")
    parser.add_argument(
        "--run", default="", metavar="COMMAND", help="run this and remove it after; {model} in it becomes the model"
    )
    _job_command(commands, "undeploy", "remove what serves a job's model, wherever it was deployed from", _undeploy)

    jobs = subparsers.add_parser("jobs", help="list the recorded fine-tuning jobs, newest first")
    store_argument(jobs, _jobs)


def _job_command(commands: Any, name: str, help: str, handler: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help)
    parser.add_argument("job", metavar="JOB", help="its id, as `repoagent jobs` lists it")
    store_argument(parser, handler)
    return parser


def _submit(args: argparse.Namespace) -> int:
    from builders.finetune_together import run

    try:
        job_id = run(args, args.method)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here, and makes no second job if there is one already")
        return 130
    if job_id is None:
        return 0
    if args.watch:
        return _follow(job_id, args.store or default_store())
    print(f"`repoagent tune watch {job_id}` follows it, `repoagent tune cancel {job_id}` stops it")
    return 0


def _watch(args: argparse.Namespace, store: Path) -> int:
    return _follow(args.job, store)


def _follow(job_id: str, store: Path) -> int:
    """Watch to the end; returns 0 for a completed job, 1 for another end, 130 for Ctrl-C, which leaves it running."""
    from builders.tuning.api import Api, NotThere
    from builders.tuning.money import usd
    from builders.tuning.watch import watch

    how = f"`repoagent tune watch {job_id}` goes on from here, `repoagent tune cancel {job_id}` stops it"
    api = Api()
    try:
        job = watch(api, store, job_id, partial(print, flush=True))
    except KeyboardInterrupt:
        print(f"no longer watching; the job goes on: {how}")
        return 130
    except NotThere:
        raise
    except RepoAgentError as error:
        raise type(error)(f"{str(error).rstrip('.')}; the job is left alone: {how}") from None
    cost = "" if job.cost_usd is None else f", {usd(job.cost_usd)}"
    if job.status != "completed":
        print(
            f"{job_id}: {job.status}{cost}; `repoagent sql \"FROM jobs WHERE job_id = '{job_id}'\"` has what is known"
        )
        return 1
    print(f"{job_id}: completed{cost}; the model is {job.model_output_name}")
    print(f"`repoagent tune deploy {job_id}` serves it, `--from-job {job_id}` trains on from it")
    return 0


def _cancel(args: argparse.Namespace, store: Path) -> int:
    from builders.tuning.api import Api
    from builders.tuning.watch import cancel

    job = cancel(Api(), store, args.job)
    print(f"{job.id}: {job.status}")
    return 0


def _deploy(args: argparse.Namespace, store: Path) -> int:
    from builders.tuning.api import Api
    from builders.tuning.serve import serve

    return serve(Api(), store, args.job, args.seconds, args.max_usd, shlex.split(args.run), partial(print, flush=True))


def _undeploy(args: argparse.Namespace, store: Path) -> int:
    from builders.tuning.api import Api
    from builders.tuning.endpoint import remove

    names = remove(Api(), store, args.job)
    print("\n".join(f"{name} is removed" for name in names) or f"nothing serves the model of {args.job}")
    return 0


def _jobs(args: argparse.Namespace, store: Path) -> int:
    from pytest_repoagent.store import jobs

    if not jobs.exists(store):
        raise UsageError(f"no job is recorded in {store}; `repoagent tune together sft` submits one")
    return show(store, _JOBS)


def _amount(text: str) -> float:
    from builders.arguments import number

    return number(text)


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+)([smh])", text)
    if found is None or int(found[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90s, 30m or 2h")
    return int(found[1]) * _UNITS_S[found[2]]
