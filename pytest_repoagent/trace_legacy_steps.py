"""The steps of an old-style run: which messages each reply answered, and what its text was.

What was not recorded stays unknown. Two things are put together from what was:

* The old agent logged a request before it appended the last tool result. Such a request ends with the assistant's
  message; what it lacks is taken from the next request. The last step's prompt is then unknown.
* ``raw`` may be the object decoded from the reply. Its text is taken from the next request, or else spelled anew and
  marked with ``extra.respelled``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_repoagent.protocol.actions import Message
from pytest_repoagent.protocol.parse import parse
from pytest_repoagent.protocol.render import prompt_sha256

Event = dict[str, Any]

REPLIES = ("llm_action", "llm_parse_error")


@dataclass
class _Step:
    """One reply with what it answered, what was counted, and the tool's result."""

    reply: Event
    messages: list[Message] | None
    usage: Event
    result: Event | None = None


def step_events(events: Sequence[Event]) -> Iterator[Event]:
    """The ``llm_request``, ``llm_action`` and ``tool_result`` events of a run, in our form.

    Raises:
        ValueError: its messages hold native tool calls, or the text of a reply was not recorded.
        KeyError, TypeError: an event lacks a field or has one of another type.
    """
    steps = _steps(events)
    before: list[Message] | None = []
    for number, step in enumerate(steps):
        later = steps[number + 1].messages if number + 1 < len(steps) else None
        sent = _sent(step.messages, later)
        raw, respelled = _text(step.reply.get("raw"), sent, later)
        extra = {"respelled": True} if respelled else {}
        new = sent or []
        if before and new[: len(before)] == before:
            new = new[len(before) :]
        elif number:
            extra["restarted"] = True  # the prompt is unknown, or not the last one continued
        before = None if sent is None else [*sent, {"role": "assistant", "content": raw}]
        yield {
            "kind": "llm_request",
            "step": number,
            "new_messages": new,
            "window": "full",
            "prompt_sha256": None if sent is None else prompt_sha256(sent),
        }
        yield _llm_action(number, step, raw, extra)
        if step.result is not None:
            yield _tool_result(number, step.result)


def _steps(events: Sequence[Event]) -> list[_Step]:
    steps: list[_Step] = []
    messages: list[Message] | None = None
    usage: Event = {}
    for event in events:
        if event["kind"] == "llm_request":
            messages = [_message(message) for message in event["messages"]] or None
        elif event["kind"] == "llm_usage" and event.get("phase", "action") == "action":
            usage = event
        elif event["kind"] in REPLIES:
            steps.append(_Step(event, messages, usage or event))
            messages, usage = None, {}
        elif event["kind"] == "tool_result" and steps:
            steps[-1].result = event
    return steps


def _message(message: Mapping[str, Any]) -> Message:
    role, content = message["role"], message.get("content")
    if role not in ("system", "user", "assistant") or not isinstance(content, str):
        raise ValueError("its messages hold native tool calls; only actions as JSON text can be ingested")
    return {"role": role, "content": content}


def _sent(messages: list[Message] | None, later: list[Message] | None) -> list[Message] | None:
    """What was sent; a request that ends with the assistant's message goes on in the next one, up to its reply."""
    if messages is None or messages[-1]["role"] != "assistant":
        return messages
    if later is None or later[: len(messages)] != messages:
        return None
    replies = [i for i in range(len(messages), len(later)) if later[i]["role"] == "assistant"]
    return later[: replies[0]] if replies and replies[0] > len(messages) else None


def _text(raw: Any, sent: list[Message] | None, later: list[Message] | None) -> tuple[str, bool]:
    """The reply's text, and whether it had to be spelled anew."""
    if isinstance(raw, dict) and isinstance(raw.get("raw_text"), str):
        raw = raw["raw_text"]  # of a reply that was no JSON
    if isinstance(raw, str):
        return raw, False
    if not isinstance(raw, dict):
        raise ValueError("the text of a reply was not recorded (llm_action without raw)")
    if sent is not None and later is not None and later[: len(sent)] == sent and len(later) > len(sent):
        reply = later[len(sent)]
        if reply["role"] == "assistant" and _begins_with(reply["content"], raw):
            return reply["content"], False
    return json.dumps(raw, ensure_ascii=False, separators=(",", ":")), True


def _begins_with(text: str, value: dict[str, Any]) -> bool:
    try:
        return bool(json.JSONDecoder().raw_decode(text.lstrip())[0] == value)
    except ValueError:
        return False


def _llm_action(number: int, step: _Step, raw: str, extra: dict[str, Any]) -> Event:
    finish_reason = step.reply.get("finish_reason")
    parsed = parse(raw, finish_reason=finish_reason)
    return {
        "kind": "llm_action",
        "step": number,
        "raw": raw,
        "finish_reason": finish_reason,
        "action": parsed.action.to_json() if parsed.action else _executed(step),
        "error_code": parsed.error.code if parsed.error else None,
        "error_message": parsed.error.message if parsed.error else None,
        "strict_valid": parsed.action is not None,
        "lenient_valid": parsed.action is not None or parsed.repaired is not None,
        "flags": [],
        "prompt_tokens": step.usage.get("prompt_tokens"),
        "completion_tokens": step.usage.get("completion_tokens"),
        "latency_s": step.reply.get("latency_s"),
        "extra": extra,
    }


def _executed(step: _Step) -> Any:
    """What the old agent made of a reply that is no strictly valid action, and executed."""
    action = step.reply.get("action")
    known = step.result is not None and isinstance(action, dict) and {"type", "name"} <= action.keys()
    return action if known else None


def _tool_result(number: int, event: Event) -> Event:
    observed = event.get("obs") or event
    return {
        "kind": "tool_result",
        "step": number,
        "ok": observed["ok"],
        "code": None,
        "content": observed.get("content", observed.get("output")),
        "duration_s": event.get("duration_s"),
    }
