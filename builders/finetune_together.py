"""Fine-tune at Together: ``python -m builders.finetune_together``, which is ``repoagent tune together``."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from builders.arguments import count, number
from pytest_repoagent.errors import UsageError
from pytest_repoagent.settings import DEFAULT_STORE, default_store

if TYPE_CHECKING:
    from builders.tuning.api import Api
    from builders.tuning.data import Data
    from builders.tuning.request import Hyperparameters, Method, Target
    from builders.tuning.wire import LoraSettings

_LEARNING_RATE = {"sft": 1e-4, "dpo": 5e-6}
_EPOCHS = {"sft": 2, "dpo": 1}


def add_arguments(parser: argparse.ArgumentParser, method: Method) -> None:
    """Add the options of ``repoagent tune together sft`` or ``dpo``."""
    parser.add_argument("data", type=Path, metavar="DATA", help="a dataset's folder, or a file of Together's JSONL")
    start = parser.add_mutually_exclusive_group(required=True)
    start.add_argument("--model", metavar="NAME", help="base model; Together's list of those it tunes changes")
    start.add_argument("--from-job", metavar="JOB", help="start from the last checkpoint of this job")
    group = parser.add_argument_group("how to train")
    group.add_argument("--full", action="store_true", help="train all weights instead of LoRA's")
    group.add_argument("--lora-r", type=_positive, metavar="R", help="LoRA's rank (default: 16, or that of --from-job)")
    group.add_argument("--lora-alpha", type=_positive, metavar="A", help="LoRA's scale (default: twice the rank)")
    group.add_argument("--lora-modules", metavar="LIST", help="(default: all-linear, or those of --from-job)")
    group.add_argument("--epochs", type=_positive, default=_EPOCHS[method], metavar="N", help="(default: %(default)s)")
    group.add_argument("--batch-size", type=_batch, default="max", metavar="N|max", help="rows (default: max)")
    group.add_argument(
        "--learning-rate", type=number, default=_LEARNING_RATE[method], metavar="LR", help="(default: %(default)s)"
    )
    group.add_argument(
        "--warmup-ratio", type=number, default=0.05, metavar="F", help="share of the steps (default: %(default)s)"
    )
    group.add_argument(
        "--n-evals", type=count, default=4, metavar="N", help="on the validation file, if any (default: %(default)s)"
    )
    group.add_argument("--seed", type=count, default=0, metavar="N", help="another one makes another job (default: 0)")
    if method == "dpo":
        group.add_argument("--dpo-beta", type=number, default=0.1, metavar="B", help="(default: %(default)s)")
        group.add_argument(
            "--rpo-alpha",
            type=number,
            default=1.0,
            metavar="A",
            help="weight of the better side's likelihood in the loss (default: %(default)s)",
        )
    group = parser.add_argument_group("what is done")
    group.add_argument("--dry-run", action="store_true", help="print the request and stop; needs no key")
    group.add_argument("--max-usd", type=number, metavar="USD", help="what it may cost; needed to submit")
    group.add_argument("--without-estimate", action="store_true", help="submit even where Together names no price")
    if method == "sft":
        group.add_argument("--preview", action="store_true", help="first compare Together's loss masks with the rows")
    group.add_argument("--watch", action="store_true", help="follow the job to its end")
    group.add_argument("--store", type=Path, metavar="FILE", help=f"(default: $REPOAGENT_STORE, else {DEFAULT_STORE})")


def run(args: argparse.Namespace, method: Method) -> str | None:
    """Print the request, or submit the job and return its id.

    Raises:
        RepoAgentError: as :func:`builders.tuning.submit.submit`.
    """
    from builders.tuning.api import Api
    from builders.tuning.data import load
    from builders.tuning.request import Target
    from builders.tuning.submit import Order, submit

    if args.max_usd is None and not args.dry_run:
        raise UsageError("--max-usd is missing: say what the job may cost, or look at the request with --dry-run")
    if args.full and (args.lora_r or args.lora_alpha or args.lora_modules):
        raise UsageError("--full trains all weights, so LoRA's options have no place beside it")
    store = args.store or default_store()
    target = Target(model=args.model, from_job=args.from_job)
    if args.dry_run:
        how = _hyperparameters(args, _recorded_training(store, target))
        print(json.dumps(_dry(method, load(args.data, method), target, how), indent=1))
        return None
    api = Api()
    data = load(args.data, method)
    order = Order(
        method=method,
        data=data,
        target=target,
        how=_hyperparameters(args, _training_of(api, target)),
        max_usd=args.max_usd,
        without_estimate=args.without_estimate,
        preview=vars(args).get("preview", False),
    )
    return submit(api, order, store, partial(print, flush=True)).id


def _dry(method: Method, data: Data, target: Target, how: Hyperparameters) -> dict[str, Any]:
    """The request; in place of the files' ids, which only the service gives, their hashes."""
    from builders.tuning.request import body, suffix

    val = data.val.sha256 if data.val else None
    name = suffix(method, target, data.train.sha256, val, how)
    return body(method, target, f"sha256:{data.train.sha256}", f"sha256:{val}" if val else None, how, name)


def _hyperparameters(args: argparse.Namespace, parent: LoraSettings | None) -> Hyperparameters:
    """What the options say, over what the job had that this one starts from."""
    from builders.tuning.request import FULL, LORA, Hyperparameters

    lora = args.lora_r or args.lora_alpha or args.lora_modules
    training = FULL
    if lora or not (args.full or (parent and parent.type == "Full")):
        base = parent if parent and parent.type == "Lora" else LORA
        training = LORA.model_copy(
            update={
                "lora_r": args.lora_r or base.lora_r,
                "lora_alpha": args.lora_alpha or (2 * args.lora_r if args.lora_r else base.lora_alpha),
                "lora_trainable_modules": args.lora_modules or base.lora_trainable_modules,
            }
        )
    try:
        return Hyperparameters(
            training=training,
            n_epochs=args.epochs,
            n_evals=args.n_evals,
            batch_size=args.batch_size,
            learning_rate=args.learning_rate,
            warmup_ratio=args.warmup_ratio,
            seed=args.seed,
            dpo_beta=vars(args).get("dpo_beta"),
            rpo_alpha=vars(args).get("rpo_alpha"),
        )
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]).removeprefix("n_").replace("_", "-")
        raise UsageError(f"--{option}: {first['msg'][0].lower()}{first['msg'][1:]}") from None


def _training_of(api: Api, target: Target) -> LoraSettings | None:
    """How the job was trained that this one starts from.

    Raises:
        UsageError: it is not completed.
    """
    from builders.tuning.watch import retrieve

    if target.from_job is None:
        return None
    parent = retrieve(api, target.from_job)
    if parent.status != "completed":
        raise UsageError(
            f"--from-job: {parent.id} is {parent.status}, and only a completed job has a checkpoint: "
            f"`repoagent tune watch {parent.id}` follows it"
        )
    return parent.training_type


def _recorded_training(store: Path, target: Target) -> LoraSettings | None:
    """The same, from the store.

    Raises:
        UsageError: the job was not submitted with this store.
    """
    from builders.tuning.wire import LoraSettings
    from pytest_repoagent.store import jobs

    if target.from_job is None:
        return None
    row = jobs.find(store, target.from_job)
    if row is None or row["request"] is None:
        raise UsageError(
            f"--from-job: {target.from_job} was not submitted with the store {store}, so without asking Together "
            "nobody knows how it was trained; leave --dry-run out"
        )
    return LoraSettings.model_validate(json.loads(row["request"])["training_type"])


def _positive(text: str) -> int:
    value = count(text)
    if not value:
        raise argparse.ArgumentTypeError("'0' is not a whole number from 1")
    return value


def _batch(text: str) -> int | str:
    return text if text == "max" else _positive(text)


if __name__ == "__main__":
    from pytest_repoagent.cli import main

    sys.exit(main(["tune", "together", *sys.argv[1:]]))
