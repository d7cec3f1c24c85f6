"""Fine-tune on this machine: ``python -m builders.finetune_local``, which is ``repoagent tune local``."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from builders.tuning.options import add_training, hyperparameters, positive
from pytest_repoagent.errors import UsageError
from pytest_repoagent.settings import DEFAULT_STORE, default_store

if TYPE_CHECKING:
    from builders.tuning.request import Method

_NEEDED = ("torch", "transformers", "datasets", "accelerate", "peft", "trl")


def add_arguments(parser: argparse.ArgumentParser, method: Method) -> None:
    """Add the options of ``repoagent tune local sft`` or ``dpo``."""
    parser.add_argument("data", type=Path, metavar="DATA", help="a dataset's folder, or a file of Together's JSONL")
    parser.add_argument("--model", required=True, metavar="DIR|NAME", help="base model: a folder, or a name on the hub")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to make")
    group = add_training(parser, method)
    group.add_argument("--batch-size", type=positive, default=16, metavar="N", help="rows a step (default: 16)")
    group.add_argument(
        "--micro-batch-size", type=positive, default=1, metavar="N", help="rows at once on a device (default: 1)"
    )
    group.add_argument(
        "--max-length", type=positive, metavar="N", help="leave longer rows out, in tokens (default: one is an error)"
    )
    group = parser.add_argument_group("what is done")
    group.add_argument(
        "--dry-run", action="store_true", help="check model and rows, print what would be done, and stop"
    )
    group.add_argument("--store", type=Path, metavar="FILE", help=f"(default: $REPOAGENT_STORE, else {DEFAULT_STORE})")


def run(args: argparse.Namespace, method: Method) -> bool:
    """Train, unless it was done before; with ``--dry-run``, print what would be trained.

    Returns:
        Whether there is a model now to tell of.

    Raises:
        UsageError: an option, the dataset or the model is wrong, or the extra ``train`` is not installed.
        InfrastructureError: the disk failed, or the store cannot be written.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"training here needs {', '.join(missing)}: python -m pip install 'pytest-repoagent[train]' has all of it"
        )
    how = hyperparameters(args)
    import torch
    from accelerate import PartialState

    from builders.local.training import Order, Training
    from builders.tuning.data import load

    _quieten()
    data = load(args.data, method)
    gpus, shared = torch.cuda.device_count(), PartialState().num_processes
    if gpus > 1 and shared == 1 and not args.dry_run:
        raise UsageError(
            f"there are {gpus} GPUs: `accelerate launch --num_processes {gpus} -m builders.finetune_local {method} "
            "...` trains on all of them, and CUDA_VISIBLE_DEVICES=0 before the command on one"
        )
    main = PartialState().is_main_process
    say = partial(print, file=sys.stderr if args.dry_run else None, flush=True) if main else _nothing
    training = Training(Order(method, data, args.model, how, args.micro_batch_size, args.max_length), say)
    if args.dry_run:
        print(json.dumps(training.summary(), indent=1))
        return False
    training.run(args.out, args.store or default_store())
    return bool(main)


def _nothing(line: str) -> None:
    """What the other processes of a training say."""


def _quieten() -> None:
    """Leave the terminal to what is said here; errors still are exceptions."""
    import warnings

    import datasets
    import huggingface_hub
    import transformers

    warnings.filterwarnings("ignore", category=FutureWarning)
    huggingface_hub.utils.disable_progress_bars()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()


if __name__ == "__main__":
    from pytest_repoagent.cli import main

    sys.exit(main(["tune", "local", *sys.argv[1:]]))
