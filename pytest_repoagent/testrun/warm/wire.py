"""What the server asks of the pytest processes, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from pytest_repoagent.testrun.sandbox.confine import Confinement
from pytest_repoagent.testrun.sandbox.layers import Layers
from pytest_repoagent.testrun.sandbox.limits import ProcessLimits
from pytest_repoagent.testrun.sandbox.seccomp import Profile


@dataclass(frozen=True)
class Barriers:
    """What a child keeps itself in: the layers, the resource limits, and the paths that it may read, write and list."""

    layers: Layers
    profile: Profile
    limits: ProcessLimits
    read: tuple[str, ...]
    write: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @classmethod
    def load(cls, fields: Mapping[str, Any]) -> Self:
        """The object whose ``asdict`` was sent."""
        layers, limits = Layers(**fields["layers"]), ProcessLimits(**fields["limits"])
        paths = (tuple(fields[name]) for name in ("read", "write", "names"))
        return cls(layers, fields["profile"], limits, *paths)

    def prepare(self) -> Confinement:
        """Do in the parent, where it costs less, what can be done there.

        Raises:
            OSError: a path does not exist, or the kernel refuses.
        """
        return Confinement(self.layers, self.profile, self.limits, self.read, self.write, self.names)


class Confinements:
    """Prepares the same barriers once for children that follow each other; their paths must stay what they are."""

    def __init__(self) -> None:
        self._latest: tuple[Barriers, Confinement] | None = None

    def get(self, barriers: Barriers) -> Confinement:
        """The confinement that ``barriers`` describe, good until the next call.

        Raises:
            OSError: a path does not exist, or the kernel refuses.
        """
        if self._latest is None or (self._latest[0] is not barriers and self._latest[0] != barriers):
            if self._latest:
                self._latest[1].close()
            self._latest = None
            self._latest = barriers, barriers.prepare()
        return self._latest[1]


@dataclass(frozen=True)
class Turn:
    """What a template is told of one run; all else is as it was when the template was made.

    Attributes:
        nonce: stands before each event.
        program: the program's files, path -> source text.
        limits: what the judge may use up.
    """

    nonce: str
    program: Mapping[str, str]
    limits: ProcessLimits

    @classmethod
    def load(cls, fields: Mapping[str, Any]) -> Self:
        """The object whose :meth:`dump` was sent."""
        return cls(fields["nonce"], fields["program"], ProcessLimits(**fields["limits"]))

    def dump(self) -> dict[str, Any]:
        """As JSON can carry it."""
        return {**vars(self), "limits": vars(self.limits)}


@dataclass(frozen=True)
class Session:
    """A pytest session to run or, for a template, to prepare.

    Attributes:
        work: the folder with the tests; the whole workspace where tests and program share a process.
        home: an empty folder of its own.
        args: pytest's arguments.
        nonce: stands before each event.
        split: the program is in a worker.
        program: the program's files, path -> source text; empty where they are in ``work``.
        importable: those that the tests may import: the pristine program's, not what a candidate added.
        exports: module -> names that star imports may bring, for the same reason; None while that is being found out.
        barriers: what the process keeps itself in.
    """

    work: str
    home: str
    args: tuple[str, ...]
    nonce: str
    split: bool
    program: Mapping[str, str]
    importable: tuple[str, ...]
    exports: Mapping[str, Sequence[str]] | None
    barriers: Barriers

    @classmethod
    def load(cls, fields: Mapping[str, Any]) -> Self:
        """The object whose :meth:`dump` was sent."""
        barriers = Barriers.load(fields["barriers"])
        return cls(
            **{**fields, "args": tuple(fields["args"]), "importable": tuple(fields["importable"]), "barriers": barriers}
        )

    def dump(self) -> dict[str, Any]:
        """As JSON can carry it."""
        return asdict(self)
