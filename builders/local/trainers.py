"""TRL's trainers on rows of token ids: nothing is tokenised, cut, dropped or reordered behind the user's back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import PrinterCallback, TrainerCallback
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from builders.tuning.request import Hyperparameters, Method
from pytest_repoagent.errors import UsageError

_Rows = Sequence[dict[str, Any]]


def trainer(
    method: Method,
    model: Any,
    tokenizer: Any,
    rows: tuple[_Rows, _Rows | None],
    how: Hyperparameters,
    micro_batch_size: int,
    work: Path,
    callback: TrainerCallback,
) -> Any:
    """A trainer of the model.

    Args:
        method: what to learn.
        model: its weights change, or get LoRA's beside them.
        tokenizer: pads.
        rows: for training and for evaluation, as :func:`builders.local.data.read` gives them.
        how: hyperparameters; the batch is rounded up to what the devices can share evenly.
        micro_batch_size: rows at once on a device.
        work: a folder for the trainer's own files.
        callback: is told of every step.

    Raises:
        UsageError: the model has no modules of the names that LoRA is to change.
    """
    train, val = (None if part is None else Dataset.from_list(list(part)) for part in rows)
    common = {
        "model": model,
        "processing_class": tokenizer,
        "train_dataset": train,
        "eval_dataset": val,
        "peft_config": _lora(how),
        "callbacks": [callback],
    }
    settings = _settings(how, micro_batch_size, work, evaluate=val is not None)
    try:
        made = _made(method, settings, how, tokenizer, common)
    except ValueError as error:
        if "Target modules" not in str(error):
            raise
        raise UsageError(f"--lora-modules: {str(error).partition(chr(10))[0]}") from None
    made.remove_callback(PrinterCallback)
    return made


def _made(method: Method, settings: dict[str, Any], how: Hyperparameters, tokenizer: Any, common: Any) -> Any:
    if method == "sft":
        collate = _Weigh(DataCollatorForLanguageModeling(pad_token_id=tokenizer.pad_token_id))
        return _Sft(args=SFTConfig(**settings, remove_unused_columns=False), data_collator=collate, **common)
    loss = {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, how.rpo_alpha]}
    return _Dpo(args=DPOConfig(**settings, beta=how.dpo_beta, **loss), **common)


class _Sft(SFTTrainer):  # type: ignore[misc]
    """SFT whose rows' losses are multiplied by the rows' weights."""

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        weight = inputs.pop("weight")

        def weighed(**batch: Any) -> Any:
            outputs = model(**batch)
            outputs.log_probs = outputs.log_probs * weight[:, None]
            return outputs

        return super().compute_loss(weighed, inputs, *args, **kwargs)


class _Dpo(DPOTrainer):  # type: ignore[misc]
    """DPO on rows that are token ids already."""

    def _prepare_dataset(self, dataset: Any, *args: Any) -> Any:
        return dataset


class _Weigh:
    """TRL's collator, and the rows' weights."""

    def __init__(self, collate: Any) -> None:
        self._collate = collate

    def __call__(self, rows: list[dict[str, Any]]) -> Any:
        return {**self._collate(rows), "weight": torch.tensor([row["weight"] for row in rows])}


def _lora(how: Hyperparameters) -> Any:
    lora = how.training
    if lora.type == "Full":
        return None
    modules = lora.lora_trainable_modules or ""
    return LoraConfig(
        r=lora.lora_r,
        lora_alpha=lora.lora_alpha,
        lora_dropout=lora.lora_dropout,
        target_modules=modules if modules == "all-linear" else modules.split(","),
        task_type="CAUSAL_LM",
    )


def _settings(how: Hyperparameters, micro_batch_size: int, work: Path, evaluate: bool) -> dict[str, Any]:
    from accelerate import PartialState

    accelerated = torch.cuda.is_available()
    devices = PartialState().num_processes
    evals = how.n_evals if evaluate else 0
    return {
        "output_dir": str(work),
        "max_length": None,
        "num_train_epochs": how.n_epochs,
        "per_device_train_batch_size": micro_batch_size,
        "per_device_eval_batch_size": micro_batch_size,
        "gradient_accumulation_steps": math.ceil(int(how.batch_size) / (micro_batch_size * devices)),
        "learning_rate": how.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": how.warmup_ratio,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "seed": how.seed,
        "bf16": accelerated,
        "gradient_checkpointing": accelerated,
        "eval_strategy": "steps" if evals else "no",
        "eval_steps": 1 / evals if evals else None,
        "eval_on_start": bool(evals),
        "save_strategy": "no",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "report_to": "none",
        "dataloader_pin_memory": accelerated,
    }
