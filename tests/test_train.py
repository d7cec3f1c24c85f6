"""What is exported really trains: TRL's trainers run on it with a tiny model made here (``make test-train``)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import train_kit
from format_kit import exported, kind_of, state
from train_kit import TURN_END, Tiny

from builders import formats
from builders.examples import Example, Pair, SftRow, State
from builders.formats import Format
from builders.validate import validate
from pytest_repoagent.protocol.actions import Final, Message, ToolCall, canonical
from pytest_repoagent.protocol.render import opening, tool_reply

pytestmark = train_kit.pytestmark
ROWS = 12
CODE = "def f(x):\n\treturn \"caf\u00e9 \U0001f600\" if x else '\\n'\n"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return train_kit.tiny(tmp_path_factory.mktemp("tiny"))


def states() -> list[State]:
    """States of growing length, with text that is hard to tokenise."""
    found = []
    for number in range(ROWS):
        messages: list[Message] = opening(f"Fix program {number} \u2192 caf\u00e9")
        for turn in range(number % 4):
            call = ToolCall("read_file", {"rel_path": f"src/{turn}.py", "max_chars": 4000})
            messages += [{"role": "assistant", "content": canonical(call)}, tool_reply(CODE * (turn + 1))]
        found.append(state(*messages))
    return found


def target(number: int) -> str:
    if number % 3:
        return canonical(ToolCall("write_file", {"rel_path": "src/a.py", "content": CODE * number}))
    return canonical(Final(f"fixed \u00fc {number}", ({"path": "src/a.py", "description": "<|end of it"},)))


def dataset(folder: Path, examples: Sequence[Example], format: Format) -> Any:
    """The examples, as they come back from the exported file."""
    from datasets import load_dataset

    path = exported(folder, examples, format)
    assert validate(path, format, kind_of(examples)).findings == ()
    reader = "parquet" if format == "parquet" else "json"
    return load_dataset(reader, data_files=str(path), split="train", cache_dir=str(folder / "cache"))


def settings(folder: Path, **more: Any) -> dict[str, Any]:
    return {
        "output_dir": str(folder / "out"),
        "max_steps": 3,
        "per_device_train_batch_size": 4,
        "learning_rate": 1e-3,
        "use_cpu": True,
        "bf16": False,
        "report_to": "none",
        "save_strategy": "no",
        "logging_steps": 1,
        "disable_tqdm": True,
        **more,
    }


def train(trainer: Any) -> None:
    """Run the few steps: finite losses, and weights that moved."""
    before = {name: value.detach().clone() for name, value in trainer.model.named_parameters()}
    result = trainer.train()
    assert result.global_step == 3
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == 3
    assert all(math.isfinite(loss) and loss > 0 for loss in losses)
    moved = [name for name, value in trainer.model.named_parameters() if not value.equal(before[name])]
    assert len(moved) == len(before)


@pytest.mark.parametrize("format", ["trl", "parquet"])
def test_sft_learns_exactly_the_targets(format: Format, tiny: Tiny, tmp_path: Path) -> None:
    from trl import SFTConfig, SFTTrainer

    rows = [SftRow(at, target(number), 1.0) for number, at in enumerate(states())]
    data = dataset(tmp_path, rows, format)
    config = SFTConfig(**settings(tmp_path, max_length=None))
    trainer = SFTTrainer(tiny.folder, args=config, train_dataset=data, processing_class=tiny.tokenizer)

    assert len(trainer.train_dataset) == len(rows)
    batch = trainer.data_collator([dict(row) for row in trainer.train_dataset])
    columns = (batch["input_ids"], batch["labels"], batch["attention_mask"])
    for row, ids, labels, real in zip(rows, *columns, strict=True):
        chat = [*row.state.messages, {"role": "assistant", "content": row.target}]
        whole = tiny.tokenizer.apply_chat_template(chat, tokenize=False)
        learned = labels != -100
        assert tiny.tokenizer.decode(ids[real == 1]) == whole
        assert tiny.tokenizer.decode(ids[learned]) == row.target + TURN_END
        assert ids[learned].equal(labels[learned])
    train(trainer)


@pytest.mark.parametrize("format", ["trl", "parquet"])
def test_dpo_compares_exactly_the_answers(format: Format, tiny: Tiny, tmp_path: Path) -> None:
    from trl import DPOConfig, DPOTrainer

    pairs = [Pair(at, target(number), f"I will look {number}. \u00e9", "x") for number, at in enumerate(states())]
    data = dataset(tmp_path, pairs, format)
    config = DPOConfig(**settings(tmp_path, max_length=None))
    trainer = DPOTrainer(tiny.folder, args=config, train_dataset=data, processing_class=tiny.tokenizer)

    assert len(trainer.train_dataset) == len(pairs)
    batch = trainer.data_collator([dict(row) for row in trainer.train_dataset])
    answers = [pair.preferred for pair in pairs] + [pair.rejected for pair in pairs]
    states_twice = [pair.state for pair in pairs] * 2
    for answer, at, ids, mask in zip(answers, states_twice, batch["input_ids"], batch["completion_mask"], strict=True):
        prompt = tiny.tokenizer.apply_chat_template(list(at.messages), tokenize=False, add_generation_prompt=True)
        compared = mask == 1
        assert tiny.tokenizer.decode(ids[compared]) == answer + TURN_END
        assert tiny.tokenizer.decode(ids[: int(compared.nonzero()[0])]) == prompt
    train(trainer)


def test_without_the_setting_in_the_notes_trl_drops_rows(tiny: Tiny, tmp_path: Path) -> None:
    from trl import SFTConfig, SFTTrainer

    rows = [SftRow(at, target(number), 1.0) for number, at in enumerate(states())]
    data = dataset(tmp_path, rows, "trl")
    trainer = SFTTrainer(
        tiny.folder, args=SFTConfig(**settings(tmp_path)), train_dataset=data, processing_class=tiny.tokenizer
    )
    assert len(trainer.train_dataset) < len(rows)
    assert "max_length=None" in " ".join(formats.notes("trl", "sft"))
