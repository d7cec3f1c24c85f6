"""The model that training starts from: a folder, or a name on Hugging Face's hub."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_repoagent.canonical import canonical_sha256
from pytest_repoagent.errors import UsageError


@dataclass(frozen=True)
class Base:
    """A model's configuration and tokenizer; its weights are loaded only to train.

    Attributes:
        name: as the user gave it.
        sha256: of its files; on the hub, the commit.
        context: tokens that it can read; None where it does not say.
    """

    name: str
    sha256: str
    config: Any
    tokenizer: Any
    context: int | None

    def weights(self, full: bool) -> Any:
        """The model itself. On an accelerator LoRA's base is in bfloat16; what is trained is in float32.

        Raises:
            UsageError: there are none.
        """
        import torch
        from transformers import AutoModelForCausalLM

        dtype = torch.float32 if full or not torch.cuda.is_available() else torch.bfloat16
        try:
            return AutoModelForCausalLM.from_pretrained(self.name, dtype=dtype)
        except (OSError, ValueError) as error:
            raise UsageError(f"--model: {self.name} cannot be loaded: {_line(error)}") from None


def open_base(name: str) -> Base:
    """Read what is there without the weights.

    Raises:
        UsageError: there is no such model, or it is not one for text.
    """
    from transformers import AutoConfig, AutoTokenizer

    folder = Path(name)
    if folder.exists() and not (folder / "config.json").is_file():
        raise UsageError(f"--model: {name} is no folder of a model: it has no config.json")
    try:
        config = AutoConfig.from_pretrained(name)
        tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"--model: {name} is no folder here, and cannot be had from the hub: {_line(error)}") from None
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    sha256 = _fingerprint(folder) if folder.is_dir() else str(config._commit_hash)
    return Base(name, sha256, config, tokenizer, getattr(config.get_text_config(), "max_position_embeddings", None))


def _fingerprint(folder: Path) -> str:
    hashes = {}
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        with path.open("rb") as file:
            hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return canonical_sha256(hashes)


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
