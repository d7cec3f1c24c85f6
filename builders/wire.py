"""The rows of each format as pydantic models, as strict as the strictest reader of that format.

A model says which fields a row has and where its conversation is; :mod:`builders.validate` says what the conversation
must be like. Text chat only: images and audio are refused.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from builders.formats import Kind


class Turn(NamedTuple):
    """One message, whatever its format calls the fields.

    Attributes:
        path: where it is in the row, such as ``messages[2]``.
        role: system, user, assistant, tool, or observation (LLaMA-Factory's result of a call).
        text: its content, None where it has none.
        calls: whether it calls tools.
        weight: its own 0 or 1, None where it has none.
    """

    path: str
    role: str
    text: str | None
    calls: bool
    weight: int | None


def _text_of(kind: type) -> AfterValidator:
    def check(text: str) -> str:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, kind):
            what = "an object" if kind is dict else "an array"
            raise PydanticCustomError("bad-value", "must be the JSON text of {what}", {"what": what})
        return text

    return AfterValidator(check)


NonEmpty = Field(min_length=1)
One = Field(min_length=1, max_length=1)
RowWeight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
ToolsText = Annotated[str, _text_of(list)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _CalledFunction(_Strict):
    name: Annotated[str, NonEmpty]
    arguments: Annotated[str, _text_of(dict)]


class _Call(_Strict):
    id: Annotated[str, NonEmpty]
    type: Literal["function"]
    function: _CalledFunction


class _Function(_Strict):
    name: Annotated[str, NonEmpty]
    description: str = ""
    parameters: dict[str, Any] = {}
    strict: bool = False


class Tool(_Strict):
    """A function that the model may call."""

    type: Literal["function"]
    function: _Function


class Message(_Strict):
    """A chat message as OpenAI spells it."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    tool_calls: Annotated[list[_Call], NonEmpty] | None = None
    tool_call_id: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.tool_calls and self.role != "assistant":
            raise PydanticCustomError("tool-fields", "calls tools, but is not by assistant")
        if (self.tool_call_id is None) == (self.role == "tool"):
            raise PydanticCustomError("tool-fields", "must have a tool_call_id if it is by tool, and only then")
        if self.content is None and not self.tool_calls:
            raise PydanticCustomError("no-content", "has neither content nor tool_calls")
        return self

    def turn(self, path: str) -> Turn:
        """The message in common terms."""
        weight = getattr(self, "weight", None) if "weight" in self.model_fields_set else None
        return Turn(path, self.role, self.content, bool(self.tool_calls), weight)


class WeightedMessage(Message):
    """One that says whether it is trained."""

    weight: Annotated[int, Field(ge=0, le=1)] = 1


class TogetherMessage(Message):
    """One that may carry a chain of thought."""

    reasoning: str | None = None
    reasoning_content: str | None = None


class TogetherWeightedMessage(TogetherMessage, WeightedMessage):
    """Both."""


class PlainMessage(_Strict):
    """A chat message without tools."""

    role: Literal["system", "user", "assistant"]
    content: str

    def turn(self, path: str) -> Turn:
        """The message in common terms."""
        return Turn(path, self.role, self.content, False, None)


class SharegptMessage(_Strict):
    """A message of LLaMA-Factory's ``conversations``."""

    role: Literal["system", "human", "gpt", "observation", "function_call"] = Field(alias="from")
    content: str = Field(alias="value")

    def turn(self, path: str) -> Turn:
        """The message in common terms."""
        role = {"human": "user", "gpt": "assistant", "function_call": "assistant"}.get(self.role, self.role)
        return Turn(path, role, self.content, self.role == "function_call", None)


class Row(_Strict):
    """A row of any format.

    Attributes:
        kind: what it is for.
        conversation: the dotted path of its conversation.
        outputs: the paths of what is trained after it: one answer, or the preferred and the rejected one; none where
            the conversation itself is trained.
        opens_with: the roles its conversation may start with.
        weighs: the roles whose messages carry a weight if any message of the row does.
    """

    kind: ClassVar[Kind] = "sft"
    conversation: ClassVar[str] = "messages"
    outputs: ClassVar[tuple[str, ...]] = ()
    opens_with: ClassVar[frozenset[str]] = frozenset({"system", "user"})
    weighs: ClassVar[frozenset[str]] = frozenset()

    def turns(self, path: str) -> list[Turn]:
        """The messages at ``path``, which may be a list of them or a single one."""
        value: Any = self
        for name in path.split("."):
            value = getattr(value, name)
        if isinstance(value, list):
            return [message.turn(f"{path}[{index}]") for index, message in enumerate(value)]
        return [value.turn(path)]


class TogetherSft(Row):
    """Together's conversational rows."""

    weighs = frozenset({"system", "user", "assistant", "tool"})
    messages: Annotated[list[TogetherWeightedMessage], NonEmpty]
    tools: list[Tool] = []
    weight: RowWeight = 1.0


class OpenAISft(Row):
    """OpenAI's chat rows."""

    weighs = frozenset({"assistant"})
    messages: Annotated[list[WeightedMessage], NonEmpty]
    tools: list[Tool] = []
    parallel_tool_calls: bool = True


class TrlSft(Row):
    """TRL's conversational prompt-completion rows: the loss is on the completion only."""

    conversation = "prompt"
    outputs = ("completion",)
    prompt: Annotated[list[PlainMessage], NonEmpty]
    completion: Annotated[list[PlainMessage], One]


class _Conversations(Row):
    conversation = "conversations"
    conversations: Annotated[list[SharegptMessage], NonEmpty]
    system: str | None = None
    tools: ToolsText = "[]"

    @model_validator(mode="after")
    def _one_system_prompt(self) -> Self:
        if self.system is not None and self.conversations[0].role == "system":
            raise PydanticCustomError("two-systems", "has a system prompt in system and one in conversations")
        return self


class SharegptSft(_Conversations):
    """LLaMA-Factory's rows; with ``mask_history`` the last turn is trained."""


class _TogetherInput(_Strict):
    messages: Annotated[list[TogetherMessage], NonEmpty]
    tools: list[Tool] = []


class TogetherPreference(Row):
    """Together's preference rows; the input may start with a greeting of the assistant's, as in its documentation."""

    kind = "preference"
    conversation = "input.messages"
    outputs = ("preferred_output", "non_preferred_output")
    opens_with = frozenset({"system", "user", "assistant"})
    input: _TogetherInput
    preferred_output: Annotated[list[TogetherMessage], One]
    non_preferred_output: Annotated[list[TogetherMessage], One]
    weight: RowWeight = 1.0


class _OpenAIInput(_Strict):
    messages: Annotated[list[Message], NonEmpty]
    tools: list[Tool] = []
    parallel_tool_calls: bool = True


class OpenAIPreference(Row):
    """OpenAI's preference rows."""

    kind = "preference"
    conversation = "input.messages"
    outputs = ("preferred_output", "non_preferred_output")
    input: _OpenAIInput
    preferred_output: Annotated[list[Message], One]
    non_preferred_output: Annotated[list[Message], One]


class TrlPreference(Row):
    """TRL's preference rows with an explicit prompt."""

    kind = "preference"
    conversation = "prompt"
    outputs = ("chosen", "rejected")
    prompt: Annotated[list[PlainMessage], NonEmpty]
    chosen: Annotated[list[PlainMessage], One]
    rejected: Annotated[list[PlainMessage], One]


class SharegptPreference(_Conversations):
    """LLaMA-Factory's ``ranking`` rows."""

    kind = "preference"
    outputs = ("chosen", "rejected")
    chosen: SharegptMessage
    rejected: SharegptMessage


ROWS: dict[str, dict[Kind, type[Row]]] = {
    "together": {"sft": TogetherSft, "preference": TogetherPreference},
    "openai": {"sft": OpenAISft, "preference": OpenAIPreference},
    "trl": {"sft": TrlSft, "preference": TrlPreference},
    "sharegpt": {"sft": SharegptSft, "preference": SharegptPreference},
    "parquet": {"sft": TrlSft, "preference": TrlPreference},
}
