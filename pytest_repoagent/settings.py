"""One frozen model of a run's settings, and the only reader of pytest's options."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pytest_repoagent.agent import AgentSettings
from pytest_repoagent.canonical import canonical_sha256
from pytest_repoagent.errors import UsageError
from pytest_repoagent.goals import TEMPLATES
from pytest_repoagent.item_limits import ItemLimits
from pytest_repoagent.options import OPTIONS
from pytest_repoagent.protocol.render import check_window
from pytest_repoagent.testrun.base import SandboxMode

if TYPE_CHECKING:
    import pytest

DEFAULT_STORE = Path(".repoagent/store.duckdb")
SHAPING = (
    "temperature",
    "max_tokens",
    "max_iters",
    "max_loops",
    "max_rollout_tokens",
    "rollout_timeout",
    "test_policy",
    "test_timeout",
    "runner",
    "window",
    "paraphrase",
    "tool_protocol",
    "parse",
    "reflection",
)
"""The settings that shape a rollout besides task, model, index and seed."""


def default_store() -> Path:
    """``$REPOAGENT_STORE``, else ``.repoagent/store.duckdb`` in the current folder."""
    return Path(os.environ.get("REPOAGENT_STORE") or DEFAULT_STORE)


def _no_password(url: str | None) -> str | None:
    if url is not None and urlsplit(url).password is not None:
        raise ValueError("it holds a password, which would be recorded; give the key in OPENAI_API_KEY")
    return url


def _no_other_reference(tag: str | None) -> str | None:
    if tag is not None and (tag == "last" or tag.endswith(".json")):
        raise ValueError("`last` and NAME.json mean something else where a run is named; take another tag")
    return tag


def _split_price(value: object) -> object:
    parts = value.split(",") if isinstance(value, str) else value
    if isinstance(parts, list) and len(parts) != 2:
        raise ValueError("it must be two prices, IN,OUT")
    return parts


_NOT_RECORDED = (
    "model",
    "ray_address",
    "quixbugs",
    "store",
    "report",
    "compare_to",
    "baseline",
    "fail_on",
    "limits",
    "resume",
    "rerun_errors",
)


class Settings(BaseModel):
    """A run's settings. Field names are the options' with underscores; units are in the names or as stated.

    Attributes:
        model: specs ``provider:name`` or the name of a built-in, as resolved.
        quixbugs: work tree, git directory or URL; None for the environment's or the cached clone.
        concurrency: rollouts in flight in each process; None until it is known what there is room for.
        engine: where rollouts are made: in pytest's own processes, or on a Ray cluster.
        ray_address: the head of a cluster to join; None for ``$RAY_ADDRESS``, else a Ray of this machine for this run.
        seed: of rollout 0; rollout ``i`` uses ``seed + i``.
        rollout_timeout: wall seconds.
        test_timeout: CPU seconds of one test run.
        sandbox: ``auto`` takes the best this machine offers, ``strict`` refuses less than all, ``none`` takes none.
        request_timeout: seconds.
        price: USD per million prompt and completion tokens; None for the table's.
        max_usd, max_total_tokens: what the run may spend, all its sessions together.
        max_minutes: what the session may take.
        store: the DuckDB file; traces are in a folder beside it.
        resume: which run to go on with; None for a new one.
        rerun_errors: attempt again what the provider or this machine spoiled in the resumed run.
        tag: a name for the run.
        compare_to: what the run is compared with at its end, as ``repoagent compare`` names it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: tuple[str, ...] = Field(min_length=1)
    suite: str = "quixbugs_heldout"
    quixbugs: str | None = None
    rollouts: int = Field(default=1, ge=1, le=100_000)
    concurrency: int | None = Field(default=None, ge=1, le=10_000)
    engine: Literal["local", "ray"] = "local"
    ray_address: str | None = None
    seed: int = Field(default=0, ge=0, le=2**53)
    temperature: float = Field(default=0.2, ge=0)
    max_tokens: int = Field(default=2048, ge=1)
    max_iters: int = Field(default=20, ge=1)
    max_loops: int = Field(default=3, ge=1)
    max_rollout_tokens: int | None = Field(default=None, ge=1)
    rollout_timeout: float = Field(default=900.0, gt=0)
    test_policy: Literal["never", "on_write", "final"] = "on_write"
    test_timeout: float = Field(default=10.0, gt=0, le=86_400)
    runner: str = "warm"
    sandbox: SandboxMode = "auto"
    window: Annotated[str, AfterValidator(check_window)] = "full"
    paraphrase: int = Field(default=0, ge=0, le=len(TEMPLATES))
    tool_protocol: Literal["json"] = "json"
    parse: Literal["strict", "lenient"] = "strict"
    reflection: bool = True
    base_url: Annotated[str | None, AfterValidator(_no_password)] = None
    request_timeout: float = Field(default=120.0, gt=0)
    retries: int = Field(default=5, ge=0)
    price: Annotated[
        tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]] | None, BeforeValidator(_split_price)
    ] = None
    store: Path = Field(default_factory=default_store)
    report: Path | None = None
    max_usd: float | None = Field(default=None, gt=0)
    max_total_tokens: int | None = Field(default=None, ge=1)
    max_minutes: float | None = Field(default=None, gt=0)
    max_requests_per_minute: int | None = Field(default=None, ge=1)
    max_tokens_per_minute: int | None = Field(default=None, ge=1)
    resume: str | None = None
    rerun_errors: bool = False
    tag: Annotated[str | None, AfterValidator(_no_other_reference)] = Field(default=None, pattern=r"^[\w.+-]+$")
    compare_to: str | None = None
    baseline: Path | None = None
    fail_on: tuple[str, ...] = ()
    limits: ItemLimits = ItemLimits()

    @property
    def trace_root(self) -> Path:
        """Where each run has a folder of traces: ``traces``, or ``NAME.traces`` for a store of another name."""
        return self.store.with_name("traces" if self.store.name == DEFAULT_STORE.name else f"{self.store.stem}.traces")

    def shaping(self) -> dict[str, Any]:
        """The settings that shape a rollout, by name."""
        return self.model_dump(mode="json", include=set(SHAPING))

    def settings_hash(self, prompt: str) -> str:
        """Names what shapes a rollout besides task, model, index and seed; 16 hex digits.

        Runs with the same hash may be pooled: where things are, what an item tolerates, retries, prices and the
        sandbox are not part of it, the system prompt (``prompt``, which shows the tools) is.
        """
        return canonical_sha256({**self.shaping(), "system_prompt": prompt})[:16]

    def agent(self) -> AgentSettings:
        """The part that the agent loop reads."""
        return AgentSettings(
            max_iters=self.max_iters,
            max_loops=self.max_loops,
            timeout_s=self.rollout_timeout,
            max_tokens_total=self.max_rollout_tokens,
            test_policy=self.test_policy,
            window=self.window,
            lenient=self.parse == "lenient",
            reflection=self.reflection,
            price_usd=self.price,
        )

    def recorded(self) -> dict[str, Any]:
        """What a trace and the store keep of the settings."""
        return self.model_dump(mode="json", exclude=set(_NOT_RECORDED))


def make_settings(given: dict[str, Any]) -> Settings:
    """Validate option values (None: not given).

    Raises:
        UsageError: names the first option that is wrong and what it must be.
    """
    try:
        return Settings.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        message = first["msg"].removeprefix("Value error, ")
        if name == "limits":
            raise UsageError(f"the setting repoagent_{first['loc'][1]} cannot be used: {message}") from None
        shown = "***" if name == "base_url" else given[name]
        raise UsageError(f"--{name.replace('_', '-')}={shown} cannot be used: {message}") from None


def from_pytest(config: pytest.Config) -> Settings:
    """Read the options and ini settings of a pytest session that has ``--model``.

    Raises:
        UsageError: an option's value is wrong.
    """
    given = {option.dest.removeprefix("repoagent_"): config.getoption(option.dest) for option in OPTIONS}
    require_pass = given.pop("require_pass")
    given["limits"] = {
        "max_parse_errors": config.getini("repoagent_max_parse_errors"),
        "max_loop_detections": config.getini("repoagent_max_loop_detections"),
        "require_write": config.getini("repoagent_require_write"),
        "require_pass": bool(require_pass) or config.getini("repoagent_require_pass"),
    }
    settings = make_settings(given)
    if settings.rerun_errors and settings.resume is None:
        raise UsageError("--rerun-errors goes with --resume=RUN: name the run whose errors are to be made again")
    if settings.ray_address is not None and settings.engine != "ray":
        raise UsageError("--ray-address goes with --engine=ray: give that as well")
    start = config.invocation_params.dir
    files = {"store": settings.store, "report": settings.report, "baseline": settings.baseline}
    places: dict[str, Any] = {name: start / file for name, file in files.items() if file is not None}
    if settings.compare_to is not None and settings.compare_to.endswith(".json"):
        places["compare_to"] = str(start / settings.compare_to)
    return settings.model_copy(update=places)
