"""How to train, as options of a command; Together's jobs and those of this machine have the same ones."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from builders.arguments import count, number
from pytest_repoagent.errors import UsageError

if TYPE_CHECKING:
    from builders.tuning.request import Hyperparameters, Method
    from builders.tuning.wire import LoraSettings

_LEARNING_RATE = {"sft": 1e-4, "dpo": 5e-6}
_EPOCHS = {"sft": 2, "dpo": 1}


def add_training(parser: argparse.ArgumentParser, method: Method) -> Any:
    """Add them but the batch size; returns their group."""
    group = parser.add_argument_group("how to train")
    group.add_argument("--full", action="store_true", help="train all weights instead of LoRA's")
    group.add_argument("--lora-r", type=positive, metavar="R", help="LoRA's rank (default: 16)")
    group.add_argument("--lora-alpha", type=positive, metavar="A", help="LoRA's scale (default: twice the rank)")
    group.add_argument("--lora-modules", metavar="LIST", help="comma-separated (default: all-linear)")
    group.add_argument("--epochs", type=positive, default=_EPOCHS[method], metavar="N", help="(default: %(default)s)")
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
    return group


def hyperparameters(args: argparse.Namespace, parent: LoraSettings | None = None) -> Hyperparameters:
    """What the options say, over what the job had that this one starts from.

    Raises:
        UsageError: an option has no place beside another, or is out of its range.
    """
    from pydantic import ValidationError

    from builders.tuning.request import FULL, LORA, Hyperparameters

    lora = args.lora_r or args.lora_alpha or args.lora_modules
    if args.full and lora:
        raise UsageError("--full trains all weights, so LoRA's options have no place beside it")
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


def positive(text: str) -> int:
    """A whole number from 1 as an option's value.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    value = count(text)
    if not value:
        raise argparse.ArgumentTypeError("'0' is not a whole number from 1")
    return value
