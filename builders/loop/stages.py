"""The stages of a loop: for each its command, by what its outcome is known, and what it may cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from builders.loop.facts import Facts, train_sha256
from builders.loop.lanes import MODEL, Command, Lane

_NOT_YET = "JOB"  # where the command is shown before its job is there


@dataclass(frozen=True)
class Recipe:
    """What a loop is made of.

    Attributes:
        out: its folder, whose name begins the tags of its runs.
        base: evaluated first.
        student: asked at the teacher's states; None for what came out of SFT.
        rollouts: of each held-out task.
        train_tasks, heldout_tasks: how many there are.
        pytest, sft, dpo: further options of these commands.
        prices: spec -> ``IN,OUT`` in USD per million tokens.
    """

    out: Path
    base: str
    teacher: str
    student: str | None
    train_suite: str
    heldout_suite: str
    train_tasks: int
    heldout_tasks: int
    rollouts: int
    pytest: tuple[str, ...] = ()
    sft: tuple[str, ...] = ()
    dpo: tuple[str, ...] = ()
    prices: dict[str, str] = field(default_factory=dict)

    def tag(self, stage: str) -> str:
        """The tag of a stage's run."""
        return f"{self.out.name}-{stage}"

    def data(self, method: str) -> Path:
        """The folder of a dataset."""
        return self.out / ("pairs" if method == "dpo" else method)


@dataclass(frozen=True)
class Stage:
    """One step.

    Attributes:
        command: given what is left to be spent, None without a bound.
        outcome: what there is of it; None where it is not done.
        expected_usd: what it will cost, by what is recorded; None where that is not known before.
        bounded: the command itself says its price first and keeps to what is left.
        repeatable: it does only what it has not done yet, so its exit status says whether it is done.
    """

    name: str
    command: Callable[[float | None], Command]
    outcome: Callable[[], str | None]
    expected_usd: Callable[[], float | None] = lambda: 0.0
    bounded: bool = False
    repeatable: bool = False


class Stages:
    """The stages of a recipe."""

    def __init__(self, recipe: Recipe, lane: Lane, facts: Facts) -> None:
        self._recipe = recipe
        self._lane = lane
        self._facts = facts
        self._heldout = recipe.heldout_tasks * recipe.rollouts

    def all(self) -> list[Stage]:
        """In their order; the comparison comes after them."""
        return [
            self._baseline(),
            self._teacher(),
            self._dataset("sft", "build-sft", ["sft", "--model", self._recipe.teacher]),
            self._tune("sft", self._recipe.sft),
            self._evaluation("sft"),
            self._branch(),
            self._dataset("dpo", "build-pairs", ["preferences", "--teacher", self._recipe.teacher]),
            self._tune("dpo", self._recipe.dpo),
            self._evaluation("dpo"),
        ]

    def comparison(self) -> Command:
        """Compare the three evaluations."""
        runs = [self._evaluated(stage) or self._recipe.tag(stage) for stage in ("base", "sft", "dpo")]
        return ["repoagent", "compare", *runs]

    def _baseline(self) -> Stage:
        base = self._recipe.base
        command = self._lane.base(self._pytest("base", base, self._recipe.heldout_suite, self._recipe.rollouts))
        return Stage(
            "evaluate-base",
            lambda left: command,
            lambda: self._evaluated("base"),
            lambda: self._expected(base, self._heldout),
        )

    def _teacher(self) -> Stage:
        recipe = self._recipe
        command = self._pytest("teacher", recipe.teacher, recipe.train_suite, 1)
        return Stage(
            "record-teacher",
            lambda left: command,
            lambda: self._facts.run(recipe.tag("teacher"), recipe.train_tasks),
            lambda: self._expected(recipe.teacher, recipe.train_tasks),
        )

    def _dataset(self, method: str, name: str, kind: Command) -> Stage:
        out = self._recipe.data(method)
        command = ["repoagent", "build", *kind, *self._suites(), "--out", str(out)]
        return Stage(name, lambda left: command, lambda: str(out) if train_sha256(out) else None)

    def _tune(self, method: str, options: tuple[str, ...]) -> Stage:
        def command(left: float | None) -> Command:
            parent = self._job("sft") if method == "dpo" else None
            return [*self._lane.tune(method, self._recipe.data(method), parent, left), *options]

        def job() -> str | None:
            return self._facts.job(method, self._recipe.data(method))

        return Stage(f"tune-{method}", command, job, self._of_the_lane, bounded=True)

    def _evaluation(self, method: str) -> Stage:
        run = self._pytest(method, MODEL, self._recipe.heldout_suite, self._recipe.rollouts)
        return Stage(
            f"evaluate-{method}",
            lambda left: self._lane.tuned(method, self._job(method), run, left),
            lambda: self._evaluated(method),
            self._of_the_lane,
            bounded=True,
        )

    def _branch(self) -> Stage:
        recipe, student = self._recipe, self._recipe.student
        asking = ["repoagent", "build", "branch", "--teacher", recipe.teacher, *self._suites()]
        asking += ["--student", student or MODEL]

        def command(left: float | None) -> Command:
            if student is None:
                return self._lane.tuned("sft", self._job("sft"), asking, left)
            if student not in recipe.prices:
                return asking
            bound = [] if left is None else ["--budget-usd", f"{left:.4f}"]
            return [*asking, "--price", recipe.prices[student], *bound]

        pairs = recipe.data("dpo")

        def expected() -> float | None:
            if student is None:
                return self._of_the_lane()
            return None if student in recipe.prices else 0.0

        return Stage(
            "branch",
            command,
            lambda: f"its pairs are in {pairs}" if train_sha256(pairs) else None,
            expected,
            bounded=True,
            repeatable=True,
        )

    def _pytest(self, stage: str, model: str, suite: str, rollouts: int) -> Command:
        recipe = self._recipe
        price = [f"--price={recipe.prices[model]}"] if model in recipe.prices else []
        words = [f"--model={model}", f"--suite={suite}", f"--rollouts={rollouts}", f"--tag={recipe.tag(stage)}"]
        return ["pytest", *words, *price, *recipe.pytest]

    def _suites(self) -> Command:
        return ["--suite", self._recipe.train_suite, "--suite", self._recipe.heldout_suite]

    def _evaluated(self, stage: str) -> str | None:
        return self._facts.run(self._recipe.tag(stage), self._heldout)

    def _job(self, method: str) -> str:
        return self._facts.job(method, self._recipe.data(method)) or _NOT_YET

    def _of_the_lane(self) -> float | None:
        return None if self._lane.paid else 0.0

    def _expected(self, model: str, rollouts: int) -> float | None:
        if model not in self._recipe.prices:
            return 0.0
        each = self._facts.rollout_usd(model)
        return None if each is None else each * rollouts
