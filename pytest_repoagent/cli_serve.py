"""``repoagent serve``: a model's folder behind a server that is installed, for as long as it is needed."""

from __future__ import annotations

import argparse
import shlex
from functools import partial
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add the command. It sets ``handler``, which returns an exit code or raises a RepoAgentError."""
    from builders.arguments import count

    parser = subparsers.add_parser("serve", help="serve a model's folder with vLLM or transformers, to evaluate it")
    parser.add_argument("folder", type=Path, metavar="DIR", help="such as `repoagent tune local` makes")
    parser.add_argument("--port", type=count, metavar="N", help="on this machine only (default: a free one)")
    parser.add_argument(
        "--run", default="", metavar="COMMAND", help="run this and stop after; {model} in it becomes the model"
    )
    parser.set_defaults(handler=_serve)


def _serve(args: argparse.Namespace) -> int:
    from builders.local.serving import serve

    try:
        return serve(args.folder, args.port, shlex.split(args.run), partial(print, flush=True))
    except KeyboardInterrupt:
        print("stopped")
        return 130 if args.run else 0
