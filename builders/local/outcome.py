"""What is left of a training: a model's folder that transformers can load, and the training's figures."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from builders.folder import code_version
from builders.local.base import Base

RECORD = "training.json"
"""The file of a trained model's folder that says how it came about."""

_OF_INTEREST = {
    "loss": "loss",
    "eval_loss": "val_loss",
    "rewards/accuracies": "preferred_share",
    "logps/chosen": "preferred_logp",
    "logps/rejected": "rejected_logp",
}
_LIBRARIES = ("torch", "transformers", "trl", "peft")


def trained(folder: Path) -> str | None:
    """The job a folder came out of; None where it came out of none."""
    try:
        return str(json.loads((folder / RECORD).read_bytes())["job_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save(trainer: Any, base: Base, end: int, place: Path) -> None:
    """Write the model with its tokenizer, LoRA merged into the weights and once more by itself in ``adapter``.

    Args:
        trainer: has trained.
        base: gives the type of the weights and the tokenizer.
        end: id of the token that ends an answer, at which servers are told to stop.
        place: an empty folder.
    """
    model = trainer.accelerator.unwrap_model(trainer.model)
    if hasattr(model, "merge_and_unload"):
        model.save_pretrained(place / "adapter")
        model = model.merge_and_unload()
    model.to(getattr(base.config, "dtype", None) or torch.float32)
    model.config.use_cache = True
    stops = model.generation_config.eos_token_id
    known = stops if isinstance(stops, list) else [] if stops is None else [stops]
    model.generation_config.eos_token_id = list(dict.fromkeys([end, *known]))
    model.save_pretrained(place)
    base.tokenizer.save_pretrained(place)


def record(place: Path, figures: dict[str, Any]) -> None:
    """Write the figures, and the versions of all that was at work, into the model's folder."""
    code = {**code_version(), **{name: version(name) for name in _LIBRARIES}}
    (place / RECORD).write_text(json.dumps({**figures, "code": code}, indent=1) + "\n")


def figures(trainer: Any) -> dict[str, Any]:
    """Steps and seconds, and the first and the last value of each loss and, of pairs, of what DPO compares."""
    history = trainer.state.log_history
    found: dict[str, Any] = {"steps": trainer.state.global_step, "device": str(trainer.args.device)}
    for key, name in _OF_INTEREST.items():
        values = [entry[key] for entry in history if key in entry]
        if values:
            found[name] = [round(values[0], 5), round(values[-1], 5)]
    if torch.cuda.is_available():
        found["peak_memory_bytes"] = torch.cuda.max_memory_allocated()
    return found
