"""``repoagent``: thin commands over the rooms of this project."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pytest_repoagent import cli_store, cli_suite
from pytest_repoagent.errors import RepoAgentError, UsageError

USAGE_EXIT = 4


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 for success, 1 for a finding or a failure, 4 for wrong usage (as pytest does).
    """
    parser = argparse.ArgumentParser("repoagent", description=__doc__, exit_on_error=True)
    commands = parser.add_subparsers(dest="command", required=True)
    cli_suite.add_parser(commands)
    cli_store.add_parser(commands)
    args = parser.parse_args(argv)
    try:
        return int(args.handler(args))
    except RepoAgentError as error:
        print(f"repoagent: {error}", file=sys.stderr)
        return USAGE_EXIT if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        sys.stderr.close()
        return 0
