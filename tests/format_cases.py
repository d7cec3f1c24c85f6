"""Rows that a validator must accept, and rows that it must refuse at one place for one reason."""

from __future__ import annotations

from typing import Any

from builders.formats import Format, Kind

Row = dict[str, Any]

SYSTEM: Row = {"role": "system", "content": "Be brief."}
ASK: Row = {"role": "user", "content": "GOAL:\nfix it"}
SAY: Row = {"role": "assistant", "content": '{"type":"tool_call"}'}
MORE: Row = {"role": "user", "content": "[tool_result]\ncaf\u00e9"}
END: Row = {"role": "assistant", "content": '{"type":"final"}'}
BLANK: Row = {"role": "assistant", "content": " \n"}
RESULT: Row = {"role": "tool", "tool_call_id": "c1", "content": "seen"}
TOOLS: list[Row] = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
CHAT = [SYSTEM, ASK, SAY, MORE, END]


def call(arguments: Any) -> Row:
    function = {"name": "look", "arguments": arguments}
    return {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": function}]}


CALL = call('{"at":1}')


def chat(*messages: Any, **more: Any) -> Row:
    return {"messages": list(messages), **more}


def weighed(*weights: Any) -> Row:
    """CHAT with these weights; None is no weight."""
    pairs = zip(CHAT, weights, strict=True)
    return chat(*[message if weight is None else message | {"weight": weight} for message, weight in pairs])


def pair(history: list[Row], good: Row = SAY, bad: Row = END, **more: Any) -> Row:
    return {"input": {"messages": history}, "preferred_output": [good], "non_preferred_output": [bad], **more}


PAIR = pair(CHAT[:4])


def trl(*prompt: Row, **more: Any) -> Row:
    return {"prompt": list(prompt), **more}


def talk(*roles: str, **more: Any) -> Row:
    """A LLaMA-Factory row."""
    return {"conversations": [{"from": role, "value": role} for role in roles], **more}


GPT = {"from": "gpt", "value": "a"}
OTHER = {"from": "gpt", "value": "b"}

GOOD: dict[str, tuple[Format, Kind, Row]] = {
    "together: every message weighed": ("together", "sft", weighed(0, 0, 0, 0, 1) | {"weight": 0.5}),
    "together: trajectory": ("together", "sft", weighed(0, 0, 1, 0, 1)),
    "together: no weights": ("together", "sft", chat(*CHAT)),
    "together: row weight 0, an integer": ("together", "sft", chat(*CHAT, weight=0)),
    "together: no system message": ("together", "sft", chat(*CHAT[1:])),
    "together: tools": ("together", "sft", chat(ASK, CALL, RESULT, RESULT, END, tools=TOOLS)),
    "together: call as the answer": ("together", "sft", chat(ASK, CALL | {"content": None}, tools=TOOLS)),
    "together: earlier blank answer": ("together", "sft", chat(ASK, BLANK, ASK, END)),
    "together: reasoning": ("together", "sft", chat(ASK, END | {"reasoning": "because"})),
    "together: pair": ("together", "preference", pair(CHAT[:4], weight=2.5)),
    "together: pair after a greeting": ("together", "preference", pair([SAY, ASK])),
    "together: pair after a tool": ("together", "preference", pair([ASK, CALL, RESULT], CALL)),
    "together: pair with tools": ("together", "preference", {**PAIR, "input": {"messages": [ASK], "tools": TOOLS}}),
    "together: blank reply rejected": ("together", "preference", pair([ASK], END, BLANK)),
    "openai: weights on the assistant's": ("openai", "sft", weighed(None, None, 0, None, 1)),
    "openai: no weights": ("openai", "sft", chat(*CHAT, parallel_tool_calls=False)),
    "openai: tools": ("openai", "sft", chat(ASK, CALL, RESULT, END, tools=TOOLS)),
    "openai: pair": ("openai", "preference", PAIR),
    "trl: step": ("trl", "sft", trl(*CHAT[:4], completion=[END])),
    "trl: pair": ("trl", "preference", trl(*CHAT[:4], chosen=[END], rejected=[SAY])),
    "sharegpt: step": ("sharegpt", "sft", talk("system", "human", "gpt", "human", "gpt")),
    "sharegpt: calls": ("sharegpt", "sft", talk("human", "function_call", "observation", "gpt", tools="[]")),
    "sharegpt: system apart": ("sharegpt", "sft", talk("human", "gpt", system="s")),
    "sharegpt: pair": ("sharegpt", "preference", talk("human", chosen=GPT, rejected=OTHER)),
}

ARGUMENTS = "messages[1].tool_calls[0].function.arguments"
BAD: dict[str, tuple[Format, Row, str, str]] = {
    "empty messages": ("together", chat(), "messages", "message-count"),
    "messages is text": ("together", {"messages": "hello"}, "messages", "wrong-type"),
    "a message is text": ("together", chat("hello"), "messages[0]", "wrong-type"),
    "no messages": ("together", {"weight": 1.0}, "messages", "missing-field"),
    "plain text": ("together", {"text": "hello"}, "text", "unknown-field"),
    "prompt and completion": ("together", {"prompt": "a", "completion": "b"}, "completion", "unknown-field"),
    "chosen and rejected": ("together", trl(ASK, chosen=[END], rejected=[SAY]), "chosen", "unknown-field"),
    "unknown role": ("together", chat(ASK, END | {"role": "model"}), "messages[1].role", "bad-value"),
    "role is no text": ("together", chat(ASK, END | {"role": 1}), "messages[1].role", "bad-value"),
    "no role": ("together", chat(ASK, {"content": "x"}), "messages[1].role", "missing-field"),
    "no content": ("together", chat({"role": "user"}, END), "messages[0]", "no-content"),
    "null content, no call": ("together", chat(ASK, END | {"content": None}), "messages[1]", "no-content"),
    "content is an object": ("together", chat(ASK, END | {"content": {}}), "messages[1].content", "wrong-type"),
    "content of parts": ("together", chat(ASK | {"content": [{}]}, END), "messages[0].content", "wrong-type"),
    "content is a number": ("together", chat(ASK, END | {"content": 1}), "messages[1].content", "wrong-type"),
    "user after user": ("together", chat(ASK, ASK, END), "messages[1]", "role-order"),
    "assistant after assistant": ("together", chat(ASK, SAY, END), "messages[2]", "role-order"),
    "two systems": ("together", chat(SYSTEM, SYSTEM, ASK, END), "messages[1]", "role-order"),
    "late system": ("together", chat(ASK, SAY, SYSTEM, END), "messages[2]", "role-order"),
    "assistant first": ("together", chat(SAY, ASK, END), "messages[0]", "role-order"),
    "assistant after system": ("together", chat(SYSTEM, END), "messages[1]", "role-order"),
    "tool result of nothing": ("together", chat(ASK, SAY, RESULT, END), "messages[2]", "role-order"),
    "call without a result": ("together", chat(ASK, CALL, ASK, END), "messages[2]", "role-order"),
    "ends with user": ("together", chat(*CHAT[:4]), "messages[3]", "last-role"),
    "ends with tool": ("together", chat(ASK, CALL, RESULT), "messages[2]", "last-role"),
    "no assistant": ("together", chat(SYSTEM, ASK), "messages[1]", "last-role"),
    "weight 0.5": ("together", weighed(0, 0, 0.5, 0, 1), "messages[2].weight", "wrong-type"),
    "weight 1.0": ("together", weighed(0, 0, 0, 0, 1.0), "messages[4].weight", "wrong-type"),
    "weight true": ("together", weighed(0, 0, 0, 0, True), "messages[4].weight", "wrong-type"),
    "weight 2": ("together", weighed(0, 0, 0, 0, 2), "messages[4].weight", "bad-value"),
    "weight -1": ("together", weighed(0, 0, 0, 0, -1), "messages[4].weight", "bad-value"),
    "weight as text": ("together", weighed(0, 0, 0, 0, "1"), "messages[4].weight", "wrong-type"),
    "weight null": ("together", chat(ASK, END | {"weight": None}), "messages[1].weight", "wrong-type"),
    "weights on some": ("together", weighed(0, None, 0, 0, 1), "messages[1].weight", "weight-missing"),
    "user trained": ("together", weighed(0, 1, 0, 0, 1), "messages[1].weight", "weight-role"),
    "all weights 0": ("together", weighed(0, 0, 0, 0, 0), "messages", "nothing-trained"),
    "blank target": ("together", chat(ASK, BLANK), "messages[1]", "empty-target"),
    "negative row weight": ("together", chat(*CHAT, weight=-0.5), "weight", "bad-value"),
    "row weight as text": ("together", chat(*CHAT, weight="1"), "weight", "wrong-type"),
    "row weight true": ("together", chat(*CHAT, weight=True), "weight", "wrong-type"),
    "extra root key": ("together", chat(*CHAT, id=7), "id", "unknown-field"),
    "odd extra key": ("together", chat(*CHAT) | {"my id": 7}, '"my id"', "unknown-field"),
    "extra message key": ("together", chat(ASK, END | {"step": 3}), "messages[1].step", "unknown-field"),
    "arguments as an object": ("together", chat(ASK, call({})), ARGUMENTS, "wrong-type"),
    "arguments no JSON": ("together", chat(ASK, call("at=1")), ARGUMENTS, "bad-value"),
    "no calls": ("together", chat(ASK, SAY | {"tool_calls": []}), "messages[1].tool_calls", "message-count"),
    "call by user": ("together", chat(CALL | ASK, END), "messages[0]", "tool-fields"),
    "result without an id": (
        "together",
        chat(ASK, CALL, RESULT | {"tool_call_id": None}),
        "messages[2]",
        "tool-fields",
    ),
    "tools is an object": ("together", chat(*CHAT, tools=TOOLS[0]), "tools", "wrong-type"),
    "two formats in a row": ("together", PAIR | chat(*CHAT), "messages", "unknown-field"),
    "one output": ("together", {"input": {}, "preferred_output": [END]}, "non_preferred_output", "missing-field"),
    "no message": ("together", PAIR | {"preferred_output": []}, "preferred_output", "message-count"),
    "three messages": ("together", PAIR | {"preferred_output": [SAY, ASK, SAY]}, "preferred_output", "message-count"),
    "output is no list": ("together", PAIR | {"preferred_output": END}, "preferred_output", "wrong-type"),
    "output by user": ("together", pair([ASK], ASK), "preferred_output[0]", "output-role"),
    "output says nothing": ("together", pair([ASK], {"role": "assistant"}), "preferred_output[0]", "no-content"),
    "blank preferred": ("together", pair([ASK], BLANK), "preferred_output[0]", "empty-target"),
    "input is a list": ("together", PAIR | {"input": CHAT[:4]}, "input", "wrong-type"),
    "input without messages": ("together", PAIR | {"input": {}}, "input.messages", "missing-field"),
    "empty input": ("together", pair([]), "input.messages", "message-count"),
    "input ends with assistant": ("together", pair(CHAT), "input.messages[4]", "last-role"),
    "input ends with system": ("together", pair([SYSTEM]), "input.messages[0]", "last-role"),
    "identical pair": ("together", pair([ASK], END, END), "non_preferred_output", "identical-pair"),
    "tools beside input": ("together", PAIR | {"tools": TOOLS}, "tools", "unknown-field"),
    "weighed input": ("together", pair([ASK | {"weight": 0}]), "input.messages[0].weight", "unknown-field"),
    "openai: row weight": ("openai", chat(*CHAT, weight=0.5), "weight", "unknown-field"),
    "openai: pair weight": ("openai", PAIR | {"weight": 0.5}, "weight", "unknown-field"),
    "openai: weight on user": ("openai", weighed(None, 0, 0, None, 1), "messages[1].weight", "weight-role"),
    "openai: weights on some": ("openai", weighed(None, None, None, None, 1), "messages[2].weight", "weight-missing"),
    "openai: all weights 0": ("openai", weighed(None, None, 0, None, 0), "messages", "nothing-trained"),
    "openai: weight 0.5": ("openai", weighed(None, None, 0.5, None, 1), "messages[2].weight", "wrong-type"),
    "openai: assistant twice": ("openai", chat(ASK, SAY, END), "messages[2]", "role-order"),
    "openai: reasoning": ("openai", chat(ASK, END | {"reasoning": "x"}), "messages[1].reasoning", "unknown-field"),
    "openai: greeting": ("openai", pair([SAY, ASK]), "input.messages[0]", "role-order"),
    "openai: identical pair": ("openai", pair([ASK], END, END), "non_preferred_output", "identical-pair"),
    "trl: messages": ("trl", chat(*CHAT), "messages", "unknown-field"),
    "trl: plain text": ("trl", {"prompt": "a", "completion": "b"}, "prompt", "wrong-type"),
    "trl: no completion": ("trl", trl(*CHAT[:4]), "completion", "missing-field"),
    "trl: two completions": ("trl", trl(ASK, completion=[END, SAY]), "completion", "message-count"),
    "trl: completion by user": ("trl", trl(ASK, completion=[ASK]), "completion[0]", "output-role"),
    "trl: prompt ends with assistant": ("trl", trl(ASK, SAY, completion=[END]), "prompt[1]", "last-role"),
    "trl: prompt not alternating": ("trl", trl(ASK, ASK, completion=[END]), "prompt[1]", "role-order"),
    "trl: row weight": ("trl", trl(ASK, completion=[END], weight=1.0), "weight", "unknown-field"),
    "trl: blank completion": ("trl", trl(ASK, completion=[BLANK]), "completion[0]", "empty-target"),
    "trl: no rejected": ("trl", trl(ASK, chosen=[END]), "rejected", "missing-field"),
    "trl: identical pair": ("trl", trl(ASK, chosen=[END], rejected=[END]), "rejected", "identical-pair"),
    "sharegpt: ends with human": ("sharegpt", talk("human", "gpt", "human"), "conversations[2]", "last-role"),
    "sharegpt: gpt first": ("sharegpt", talk("gpt", "human", "gpt"), "conversations[0]", "role-order"),
    "sharegpt: human twice": ("sharegpt", talk("human", "human", "gpt"), "conversations[1]", "role-order"),
    "sharegpt: two observations": (
        "sharegpt",
        talk("human", "function_call", "observation", "observation", "gpt"),
        "conversations[3]",
        "role-order",
    ),
    "sharegpt: chat roles": ("sharegpt", talk("user", "gpt"), "conversations[0].from", "bad-value"),
    "sharegpt: chat keys": ("sharegpt", {"conversations": [ASK]}, "conversations[0].from", "missing-field"),
    "sharegpt: two systems": ("sharegpt", talk("system", "human", "gpt", system="s"), "", "two-systems"),
    "sharegpt: tools as a list": ("sharegpt", talk("human", "gpt", tools=TOOLS), "tools", "wrong-type"),
    "sharegpt: tools no JSON": ("sharegpt", talk("human", "gpt", tools="look"), "tools", "bad-value"),
    "sharegpt: input ends with gpt": (
        "sharegpt",
        talk("human", "gpt", chosen=GPT, rejected=OTHER),
        "conversations[1]",
        "last-role",
    ),
    "sharegpt: chosen is a list": ("sharegpt", talk("human", chosen=[GPT], rejected=OTHER), "chosen", "wrong-type"),
    "sharegpt: chosen by human": (
        "sharegpt",
        talk("human", chosen=GPT | {"from": "human"}, rejected=OTHER),
        "chosen",
        "output-role",
    ),
    "sharegpt: identical pair": ("sharegpt", talk("human", chosen=GPT, rejected=GPT), "rejected", "identical-pair"),
    "sharegpt: row weight": ("sharegpt", talk("human", "gpt", weight=1.0), "weight", "unknown-field"),
}
