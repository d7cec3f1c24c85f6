"""A language model that knows no protocol: it can quote, and its tokenizer is made from training conversations."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import loop_quoting
import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Lfm2Config, Lfm2ForCausalLM, PreTrainedTokenizerFast

from pytest_repoagent.protocol.actions import TOOLS, Action, Change, Final, ToolCall, canonical

PAD, END, ROLES = "<|pad|>", "<|end|>", ["<|system|>", "<|user|>", "<|assistant|>"]
TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message.role + '|>' + message.content + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
HEAD = 64
"""How wide an attention head is."""
WORDS = r'\\.|["\n]| ?[A-Za-z_/.]*[A-Za-z_/]|[0-9]+| +(?= )| ?[^\sA-Za-z0-9"\\]+|\s|.'
"""Where tokens end at the latest. Escapes and quotes are tokens of their own, so that a line of code has the same
tokens in a file and in a JSON string."""


@dataclass(frozen=True)
class Shape:
    """How large the model is.

    Attributes:
        vocabulary: tokens, but for those of the protocol.
        reach: tokens that a convolution sees: from after a path back to the name of the tool. With three, which
            argument follows is learned from the number of the turn, and is wrong where turns come in another order.
        quoting: steps of :func:`loop_quoting.learn`.
    """

    vocabulary: int = 1024
    layers: int = 4
    width: int = 128
    reach: int = 24
    context: int = 4096
    quoting: int = 350


def make(conversations: Iterable[list[str]], folder: Path, shape: Shape, seed: int) -> int:
    """Write the model.

    Args:
        conversations: the texts of messages; the first of each is the system prompt, which is the same in all.
        folder: to write into.
        shape: how large the model is.
        seed: of its weights.

    Returns:
        The number of its parameters.
    """
    conversations = list(conversations)
    systems, *others = zip(*([texts[0], "\n".join(texts[1:])] for texts in conversations), strict=True)
    tokenizer = _tokenizer(systems[0], others[0], shape)
    torch.manual_seed(seed)
    model = Lfm2ForCausalLM(
        Lfm2Config(
            vocab_size=len(tokenizer),
            hidden_size=shape.width,
            intermediate_size=2 * shape.width,
            block_auto_adjust_ff_dim=False,
            num_hidden_layers=shape.layers,
            layer_types=["conv", "full_attention"] * (shape.layers // 2),
            num_attention_heads=shape.width // HEAD,
            num_key_value_heads=shape.width // HEAD,
            conv_L_cache=shape.reach,
            conv_bias=True,
            max_position_embeddings=shape.context,
            initializer_range=0.05,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    with torch.no_grad():
        _open(model)
    programs = {text for texts in conversations for text in texts if text.startswith(f"{loop_quoting.HEADING}def ")}
    loop_quoting.learn(model, tokenizer, sorted(programs), shape.quoting, seed)
    model.generation_config.do_sample = True  # or a server ignores the temperature it is asked for
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return int(model.num_parameters())


def _open(model: Lfm2ForCausalLM) -> None:
    """Let what a convolution or an attention looks at pass as it is, where random weights would scramble it."""
    width = model.config.hidden_size
    model.model.embed_tokens.weight.normal_(0, 0.2)
    for layer in model.model.layers:
        if layer.is_attention_layer:
            layer.self_attn.v_proj.weight.copy_(torch.eye(width))
            layer.self_attn.out_proj.weight.copy_(torch.eye(width))
        else:
            layer.conv.in_proj.bias.zero_()[: 2 * width] = 1.0


def spellings() -> list[str]:
    """What the protocol writes between the values of an action: the openings, the joints and the closings."""
    text, number = "~", 7
    change: Change = {"path": text, "description": text}
    actions: list[Action] = [Final(text, (change,) * n) for n in (0, 1, 2)]
    for tool in TOOLS:
        args: dict[str, str | int] = {name: text if kind is str else number for name, kind in tool.args.items()}
        actions += [ToolCall(tool.name, args), ToolCall(tool.name, {**args, "thought": text})]
    pieces = (piece for action in actions for piece in re.split(f"{text}|{number}", canonical(action)))
    return list(dict.fromkeys(pieces))


def _tokenizer(system: str, texts: Iterable[str], shape: Shape) -> PreTrainedTokenizerFast:
    """Byte-level BPE; the system prompt, the same in every conversation, and each of ``spellings`` is one token."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    raw.decoder = decoders.ByteLevel()
    special = [PAD, END, *ROLES]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=shape.vocabulary, initial_alphabet=alphabet, special_tokens=special, show_progress=False
    )
    raw.train_from_iterator(texts, trainer)
    raw.add_tokens([AddedToken(text, normalized=False) for text in (system, *spellings())])
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=ROLES,
        chat_template=TEMPLATE,
    )
