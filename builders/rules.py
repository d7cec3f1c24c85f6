"""What a conversation must be like to train what it says, whatever its format."""

from __future__ import annotations

from collections.abc import Iterator

from builders.wire import Row, Turn

Breach = tuple[str, str, str]
"""Path, rule, and what is wrong there."""

_FOLLOWS = {
    "system": frozenset({"user"}),
    "user": frozenset({"assistant"}),
    "assistant": frozenset({"user"}),
    "call": frozenset({"tool", "observation"}),
    "tool": frozenset({"tool", "assistant"}),
    "observation": frozenset({"assistant"}),
}
_ASKING = frozenset({"user", "tool", "observation"})


def breaches(row: Row) -> Iterator[Breach]:
    """Every rule that the row breaks."""
    turns = row.turns(row.conversation)
    answers = [row.turns(path)[0] for path in row.outputs]
    last = turns[-1]
    yield from _order(turns, row)
    if answers and last.role not in _ASKING:
        yield last.path, "last-role", f"ends the input and is by {last.role}, but must be by user or tool"
    if not answers and last.role != "assistant":
        yield last.path, "last-role", f"ends the row and is by {last.role}, but must be by assistant"
    yield from _weights(turns, row)
    for answer in answers:
        if answer.role != "assistant":
            yield answer.path, "output-role", f"is by {answer.role}, but must be by assistant"
    for turn in answers[:1] or [turn for turn in turns if turn.weight == 1] or turns[-1:]:
        if not (turn.text or "").strip() and not turn.calls:
            yield turn.path, "empty-target", "is to be learned, but says nothing"
    if len(answers) == 2:
        preferred, rejected = row.outputs
        if getattr(row, preferred) == getattr(row, rejected):
            yield rejected, "identical-pair", f"is the same as {preferred}"


def _order(turns: list[Turn], row: Row) -> Iterator[Breach]:
    before = ""
    for turn in turns:
        allowed = _FOLLOWS[before] if before else row.opens_with
        if turn.role not in allowed:
            where = f"follows {before}" if before else "is the first"
            yield turn.path, "role-order", f"is by {turn.role} and {where}: only {' or '.join(sorted(allowed))} may"
        before = "call" if turn.calls else turn.role


def _weights(turns: list[Turn], row: Row) -> Iterator[Breach]:
    if all(turn.weight is None for turn in turns):
        return
    for turn in turns:
        path = f"{turn.path}.weight"
        if turn.weight is None and turn.role in row.weighs:
            yield path, "weight-missing", "is missing, but other messages of the row have one"
        elif turn.weight is not None and turn.role not in row.weighs:
            yield path, "weight-role", f"weighs a message by {turn.role}, which this format does not"
        elif turn.weight == 1 and turn.role != "assistant":
            yield path, "weight-role", f"would train a message by {turn.role}"
    if not any(turn.role == "assistant" and turn.weight == 1 for turn in turns):
        yield row.conversation, "nothing-trained", "has no assistant message of weight 1"
