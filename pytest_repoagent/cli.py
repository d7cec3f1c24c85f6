"""``repoagent``: thin commands over the rooms of this project."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from pytest_repoagent import (
    cli_baseline,
    cli_build,
    cli_compare,
    cli_doctor,
    cli_estimate,
    cli_loop,
    cli_report,
    cli_serve,
    cli_store,
    cli_suite,
    cli_tune,
    cli_validate,
)
from pytest_repoagent.errors import RepoAgentError, UsageError

USAGE_EXIT = 4


class _Parser(argparse.ArgumentParser):
    """Wrong words are a usage error like any other."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; `{self.prog} --help` shows what there is")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 for success, 1 for a finding or a failure, 4 for wrong usage (as pytest does), 130 for Ctrl-C.
    """
    parser = _Parser(
        "repoagent", description="Suites, the sandbox, the store of rollouts, training data from it, and tuning."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    cli_suite.add_parser(commands)
    cli_store.add_parser(commands)
    cli_estimate.add_parser(commands)
    cli_compare.add_parser(commands)
    cli_baseline.add_parser(commands)
    cli_report.add_parser(commands)
    cli_doctor.add_parser(commands)
    cli_build.add_parser(commands)
    cli_validate.add_parser(commands)
    cli_tune.add_parser(commands)
    cli_serve.add_parser(commands)
    cli_loop.add_parser(commands)
    try:
        args = parser.parse_args(argv)
        return int(args.handler(args))
    except RepoAgentError as error:
        print(f"repoagent: {error}", file=sys.stderr)
        return USAGE_EXIT if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print("repoagent: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        sys.stderr.close()
        return 0


if __name__ == "__main__":
    sys.exit(main())
