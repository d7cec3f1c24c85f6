"""The request for a job: every hyperparameter is in it, so that neither the SDK nor the service chooses one."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from builders.tuning.wire import Limits, LoraSettings
from pytest_repoagent.canonical import canonical_sha256
from pytest_repoagent.errors import UsageError

Method = Literal["sft", "dpo"]

LORA = LoraSettings(type="Lora", lora_r=16, lora_alpha=32, lora_dropout=0.0, lora_trainable_modules="all-linear")
"""Where to start from."""
FULL = LoraSettings(type="Full")


class Hyperparameters(BaseModel):
    """How to train.

    Attributes:
        training: LoRA with its rank, scale and modules, or all weights.
        n_evals: evaluations on the validation file, spread over the training.
        batch_size: rows, or ``max`` for the most the model can have.
        warmup_ratio: share of the steps in which the learning rate rises.
        seed: of the order of rows and of new weights.
        dpo_beta: how far the model may go from where it started; DPO only.
        rpo_alpha: weight of the likelihood of the preferred side in the loss, without which it may fall; DPO only.
            1 is the weight of IPR (arXiv 2406.11176).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    training: LoraSettings
    n_epochs: int = Field(ge=1)
    n_evals: int = Field(ge=0)
    batch_size: int | Literal["max"]
    learning_rate: float = Field(gt=0)
    warmup_ratio: float = Field(ge=0, le=1)
    seed: int = Field(ge=0)
    dpo_beta: float | None = Field(default=None, gt=0)
    rpo_alpha: float | None = Field(default=None, ge=0)


class Target(BaseModel):
    """What is trained: a base model by its name, or the last checkpoint of a job. Exactly one of the two is there."""

    model_config = ConfigDict(frozen=True)

    model: str | None = None
    from_job: str | None = None

    @property
    def name(self) -> str:
        """The one that is there."""
        return self.model or self.from_job or ""


def body(
    method: Method, target: Target, training_file: str, validation_file: str | None, how: Hyperparameters, suffix: str
) -> dict[str, Any]:
    """The JSON that creates the job; the files are given by their ids."""
    start = {"model": target.model} if target.model else {"from_checkpoint": target.from_job}
    return {
        **start,
        "training_file": training_file,
        "validation_file": validation_file or "",
        "packing": True,
        "n_epochs": how.n_epochs,
        "n_evals": how.n_evals if validation_file else 0,
        "n_checkpoints": 1,
        "batch_size": how.batch_size,
        "learning_rate": how.learning_rate,
        "lr_scheduler": {
            "lr_scheduler_type": "cosine",
            "lr_scheduler_args": {"min_lr_ratio": 0.0, "num_cycles": 0.5},
        },
        "warmup_ratio": how.warmup_ratio,
        "max_grad_norm": 1.0,
        "weight_decay": 0.0,
        "training_type": how.training.model_dump(exclude_none=True),
        "training_method": _training_method(method, how),
        "random_seed": how.seed,
        "early_stopping_enabled": False,
        "suffix": suffix,
    }


def suffix(
    method: Method, target: Target, training_sha256: str, validation_sha256: str | None, how: Hyperparameters
) -> str:
    """A name for the job, by which it is found again: the same for the same files, start and hyperparameters."""
    named = body(method, target, training_sha256, validation_sha256, how, "")
    return f"repoagent-{method}-{canonical_sha256(named)[:12]}"


def check_limits(method: Method, how: Hyperparameters, limits: Limits) -> None:
    """Compare with what the base model can be tuned with; the SDK leaves most of this to the service.

    Raises:
        UsageError: names the option that is out of bounds, and the bounds.
    """
    lora = how.training.type == "Lora"
    sizes = limits.lora_training if lora else limits.full_training
    if sizes is None or not (lora or limits.supports_full_training):
        raise UsageError(f"--full: {limits.model_name} can only be tuned with LoRA; leave the option out")
    most_rows = sizes.max_batch_size if method == "sft" else sizes.max_batch_size_dpo
    for option, value, low, high in (
        ("--epochs", how.n_epochs, 1, limits.max_num_epochs),
        ("--n-evals", how.n_evals, 0, limits.max_num_evals),
        ("--learning-rate", how.learning_rate, limits.min_learning_rate, limits.max_learning_rate),
        ("--lora-r", how.training.lora_r or 1, 1, limits.lora_training.max_rank),
        ("--batch-size", how.batch_size, sizes.min_batch_size, most_rows),
    ):
        if not isinstance(value, str) and not low <= value <= high:
            raise UsageError(f"{option} is {value:g}, but {limits.model_name} takes {low:g} to {high:g}")


def _training_method(method: Method, how: Hyperparameters) -> dict[str, Any]:
    if method == "sft":
        return {"method": "sft", "train_on_inputs": False}
    return {
        "method": "dpo",
        "dpo_beta": how.dpo_beta,
        "dpo_normalize_logratios_by_length": False,
        "dpo_reference_free": False,
        "rpo_alpha": how.rpo_alpha,
    }
