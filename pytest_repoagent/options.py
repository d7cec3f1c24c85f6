"""The command-line options and ini settings: one table, registered in two forms.

Every option exists as ``--repoagent-NAME``. The short ``--NAME`` is added once every other plugin and the initial
conftests have had their say, and only where it is used, so it gives way to whoever else owns it. Imports nothing
heavy: this runs in every pytest session, used or not.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True)
class Option:
    """One option. ``attrs`` goes to argparse; the default is None where ``Settings`` has the default."""

    name: str
    help: str
    attrs: dict[str, Any] = field(default_factory=dict)

    @property
    def dest(self) -> str:
        """The attribute of ``config.option`` that holds the value, and the name in ``Settings``."""
        return self.attrs.get("dest") or "repoagent_" + self.name.replace("-", "_")


def _flag(name: str, dest: str, value: bool, help: str) -> Option:
    action = "store_true" if value else "store_false"
    return Option(name, help, {"action": action, "dest": f"repoagent_{dest}", "default": None})


OPTIONS: tuple[Option, ...] = (
    Option("model", "model to evaluate, PROVIDER:NAME; repeat for several", {"action": "append", "metavar": "SPEC"}),
    Option("suite", "suite name or file (default: quixbugs_heldout)", {"metavar": "NAME"}),
    Option("quixbugs", "QuixBugs work tree, git directory or URL (default: $QUIXBUGS_ROOT, else a cached clone)"),
    Option("rollouts", "rollouts per task and model (default: 1)", {"metavar": "N"}),
    Option(
        "concurrency",
        "rollouts in flight in each process (default: 16 in all for served models, else 1; on Ray by its CPUs)",
        {"metavar": "K"},
    ),
    Option("engine", "where rollouts are made: local, in pytest's own processes, or ray (default: local)"),
    Option(
        "ray-address",
        "with --engine=ray, HOST:PORT of a cluster's head, or auto (default: $RAY_ADDRESS, else a Ray of this machine)",
        {"metavar": "ADDRESS"},
    ),
    Option("seed", "seed of rollout 0; rollout i uses SEED+i (default: 0)", {"metavar": "SEED"}),
    Option("temperature", "sampling temperature (default: 0.2)", {"metavar": "T"}),
    Option("max-tokens", "tokens of one reply (default: 2048)", {"metavar": "N"}),
    Option("max-iters", "replies per rollout (default: 20)", {"metavar": "N"}),
    Option("max-loops", "loop detections that end a rollout (default: 3)", {"metavar": "N"}),
    Option("max-rollout-tokens", "tokens of one rollout, prompt and completion (default: no bound)", {"metavar": "N"}),
    Option("rollout-timeout", "wall seconds of one rollout (default: 900)", {"metavar": "S"}),
    Option("test-policy", "when the driver runs tests: never, on_write or final (default: on_write)"),
    Option("test-timeout", "CPU seconds of one test run (default: 10)", {"metavar": "S"}),
    Option("runner", "test runner (default: warm)", {"metavar": "NAME"}),
    Option(
        "sandbox",
        "auto, strict or none: the barriers around code a model wrote (default: auto)",
        {"metavar": "MODE"},
    ),
    Option("window", "what of the conversation is sent: full or last_k:N (default: full)"),
    Option(
        "paraphrase",
        "draw the goal from N paraphrases (at most 10) by seed (default: 0, the goal itself)",
        {"metavar": "N"},
    ),
    Option("tool-protocol", "how tools are called (default and only choice: json)"),
    Option("parse", "strict, or lenient: execute unambiguous repairs, still counted (default: strict)"),
    _flag("reflection", "reflection", True, "ask for reflection after a failed test run (default)"),
    _flag("no-reflection", "reflection", False, "do not ask for reflection"),
    Option("base-url", "server of an OpenAI-compatible provider", {"metavar": "URL"}),
    Option("request-timeout", "seconds of one request to a provider (default: 120)", {"metavar": "S"}),
    Option("retries", "retries of a request after 5xx and timeouts (default: 5)", {"metavar": "N"}),
    Option(
        "price",
        "USD per million prompt and completion tokens, IN,OUT (default: a dated table's; unknown is tokens only)",
        {"metavar": "IN,OUT"},
    ),
    Option("max-usd", "stop calling models when the run has spent so much (default: no bound)", {"metavar": "USD"}),
    Option("max-total-tokens", "stop calling models when the run has used so many tokens", {"metavar": "N"}),
    Option("max-minutes", "stop calling models when the session has taken so long", {"metavar": "MIN"}),
    Option(
        "max-requests-per-minute",
        "requests a minute to one provider, by all processes together (default: no bound)",
        {"metavar": "N"},
    ),
    Option("max-tokens-per-minute", "tokens a minute from and to one provider, in the same way", {"metavar": "N"}),
    Option(
        "store",
        "DuckDB store; traces are beside it (default: $REPOAGENT_STORE, else .repoagent/store.duckdb)",
        {"metavar": "FILE"},
    ),
    Option("report", "write per-rollout results to this JSON file", {"metavar": "FILE"}),
    Option(
        "resume",
        "go on with a run, by id or `last`: make only the rollouts that it lacks",
        {"metavar": "RUN"},
    ),
    _flag("rerun-errors", "rerun_errors", True, "with --resume, also those that the provider or this machine spoiled"),
    Option("tag", "a name for this run, for `repoagent compare`", {"metavar": "NAME"}),
    Option(
        "compare-to",
        "at the end, compare with a run, tag, model:NAME or baseline file, as `repoagent compare` does",
        {"metavar": "REF"},
    ),
    Option("baseline", "judge the run against this baseline file", {"metavar": "FILE"}),
    Option(
        "fail-on",
        "fail the run that breaks this rule, such as strict_valid:-2%; repeatable (default with --baseline: four)",
        {"action": "append", "metavar": "RULE"},
    ),
    _flag("require-pass", "require_pass", True, "an item also fails where the tests do not pass"),
)

INI: tuple[tuple[str, str, str, Any], ...] = (
    ("repoagent_provider", "provider of a model given by a bare name that is no built-in model", "string", "together"),
    ("repoagent_max_parse_errors", "parse errors that an item tolerates", "int", 0),
    ("repoagent_max_loop_detections", "loop detections that an item tolerates", "int", 0),
    ("repoagent_require_write", "an item fails where no file was written", "bool", True),
    ("repoagent_require_pass", "an item also fails where the tests do not pass", "bool", False),
)


def add_options(parser: pytest.Parser) -> None:
    """Register the prefixed forms and the ini settings."""
    group = parser.getgroup("repoagent", "repo agents: evaluate models on bug-fixing tasks")
    for option in OPTIONS:
        group.addoption(f"--repoagent-{option.name}", help=option.help.replace("%", "%%"), **_attrs(option))
    for name, help, kind, default in INI:
        parser.addini(name, help, type=kind, default=default)  # type: ignore[arg-type]


def add_short_options(parser: pytest.Parser, args: Sequence[str]) -> None:
    """Register each short form that is used and that nobody else owns; for ``--help``, all of them."""
    group = parser.getgroup("repoagent")
    used = {arg.partition("=")[0] for arg in args}
    for option in OPTIONS:
        if used.isdisjoint({f"--{option.name}", "--help", "-h"}):
            continue
        try:
            group.addoption(f"--{option.name}", help=f"short for --repoagent-{option.name}", **_attrs(option))
        except (ValueError, argparse.ArgumentError):  # how pytest says that somebody else has this name
            continue


def _attrs(option: Option) -> dict[str, Any]:
    return {"default": None, "dest": option.dest, **option.attrs}
