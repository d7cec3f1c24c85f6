"""What the test process tells the driver: one JSON object a line, each behind the run's nonce."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

LINE_BYTES = 1 << 20
TOTAL_BYTES = 16 << 20
Phase = Literal["setup", "call", "teardown"]
_PHASES: tuple[Phase, ...] = get_args(Phase)


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Hello(_Event):
    """The limits hold and pytest is imported; nothing of the candidate has run yet."""

    kind: Literal["hello"]


class NotCollected(_Event):
    """A file that failed to import, or that skipped itself as a whole."""

    kind: Literal["not_collected"]
    id: str
    outcome: Literal["failed", "skipped"]
    text: str


class Collected(_Event):
    """Some of the tests that are going to run; at least one of these comes before the first test."""

    kind: Literal["collected"]
    ids: tuple[str, ...]


class Started(_Event):
    """A test starts."""

    kind: Literal["started"]
    id: str


class Report(_Event):
    """One phase of a test ended, or, with ``subtest``, one subtest within the call phase."""

    kind: Literal["report"]
    id: str
    when: Phase
    outcome: Literal["passed", "failed", "skipped"]
    xfail: bool
    subtest: bool
    text: str
    stdout: str


class Passed(_Event):
    """All three phases of a test passed, and nobody had a word to say."""

    kind: Literal["passed"]
    id: str

    def reports(self) -> list[Report]:
        """The same phase by phase."""
        return [
            Report(
                kind="report", id=self.id, when=when, outcome="passed", xfail=False, subtest=False, text="", stdout=""
            )
            for when in _PHASES
        ]


class Stopped(_Event):
    """Pytest gave up: an error inside it (``internal``), KeyboardInterrupt or ``pytest.exit``."""

    kind: Literal["stopped"]
    internal: bool
    text: str


class Finished(_Event):
    """``pytest.main`` returned; the last event."""

    kind: Literal["finished"]


Event = Hello | NotCollected | Collected | Started | Report | Stopped | Finished
_LINE: TypeAdapter[Event | Passed] = TypeAdapter(Annotated[Event | Passed, Field(discriminator="kind")])


class ChannelError(Exception):
    """The channel carried what the test process would never send."""


class EventReader:
    """Turns the channel's bytes into events.

    Attributes:
        events: what arrived so far, in order, with reports for what passed. A last line without its end is no event.
    """

    def __init__(self, nonce: str) -> None:
        self.events: list[Event] = []
        self._prefix = nonce.encode() + b" "
        self._rest = b""
        self._total = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            ChannelError: a line without the nonce, not an event or over 1 MiB, or more than 16 MiB in all.
        """
        self._total += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        if self._total > TOTAL_BYTES or any(len(line) > LINE_BYTES for line in (*lines, self._rest)):
            raise ChannelError("more than its bound")
        for line in lines:
            if not line.startswith(self._prefix):
                raise ChannelError("a line without the nonce")
            try:
                event = _LINE.validate_json(line.removeprefix(self._prefix))
            except ValidationError as error:
                raise ChannelError("a line that is no event") from error
            self.events += event.reports() if isinstance(event, Passed) else [event]
