"""What a run can be made of: the built-in parts, and those that hooks add. Imports a part when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from pytest_repoagent.errors import ModelConfigError, UsageError
from pytest_repoagent.models.base import Model, ModelContext, ModelFactory
from pytest_repoagent.sources import SOURCES, SourceFactory, open_source
from pytest_repoagent.sources.base import Source, SourceContext, default_cache_dir
from pytest_repoagent.suites import Suite
from pytest_repoagent.testrun.base import Runner, RunnerFactory, SandboxMode
from pytest_repoagent.tools import BUILT_IN, Tool

if TYPE_CHECKING:
    import pluggy


def _lazy(module: str, attribute: str) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        return getattr(importlib.import_module(f"pytest_repoagent.{module}"), attribute)(*args)

    return call


MODELS: Mapping[str, ModelFactory] = {
    name: _lazy(f"models.{name}", "create") for name in ("together", "openai", "repair", "oracle", "novice", "replay")
}
_subprocess_runner = _lazy("testrun.subprocess_runner", "SubprocessRunner")
RUNNERS: Mapping[str, RunnerFactory] = {
    "warm": _lazy("testrun.warm_runner", "WarmRunner"),
    "subprocess": lambda sandbox: cast(Runner, _subprocess_runner()),
}


@dataclass(frozen=True)
class Registry:
    """The parts by name; ``default_provider`` is whose a model given by a bare name is."""

    default_provider: str
    models: Mapping[str, ModelFactory]
    tools: Mapping[str, Tool]
    sources: Mapping[str, SourceFactory]
    runners: Mapping[str, RunnerFactory]

    def resolve(self, spec: str) -> str:
        """The full spec of a model as given.

        ``provider:name`` stays as it is, a bare name is the provider of that name if there is one, else a model of
        the default provider.

        Raises:
            ModelConfigError: unknown provider.
        """
        provider, colon, _ = spec.partition(":")
        if provider in self.models:
            return spec if colon else provider
        if not colon and self.default_provider in self.models:
            return f"{self.default_provider}:{spec}"
        unknown = provider if colon else self.default_provider
        raise ModelConfigError(
            f"--model={spec} names the provider {unknown!r}, but there are only {', '.join(sorted(self.models))}; "
            "a model name with a colon needs its provider first, such as openai:NAME"
        )

    def build_model(self, spec: str, context: ModelContext) -> Model:
        """The model of a spec.

        Raises:
            ModelConfigError: unknown provider, or what the provider says of its name.
        """
        provider, _, name = self.resolve(spec).partition(":")
        return self.models[provider](name, context)

    def source(self, suite: Suite, quixbugs: str | None) -> Source:
        """The source of a suite's tasks, checked against the suite.

        Raises:
            SourceError: it is unknown, cannot be had, or holds other files than the suite pins.
        """
        return open_source(SourceContext(quixbugs, suite, default_cache_dir()), self.sources)

    def runner(self, name: str, sandbox: SandboxMode) -> Runner:
        """A new test runner.

        Raises:
            UsageError: there is none of that name.
        """
        if name not in self.runners:
            raise UsageError(f"--runner={name} is unknown; there are {', '.join(sorted(self.runners))}")
        return self.runners[name](sandbox)


def built_in(default_provider: str = "together") -> Registry:
    """The built-in parts alone."""
    return Registry(default_provider, MODELS, {tool.spec.name: tool for tool in BUILT_IN}, SOURCES, RUNNERS)


def with_hooks(hook: pluggy.HookRelay, default_provider: str) -> Registry:
    """The built-in parts and those of every plugin and conftest.

    Raises:
        UsageError: two parts of one kind share a name.
    """
    base = built_in(default_provider)
    tools = cast("Iterable[Sequence[Tool]]", hook.pytest_repoagent_tools())
    return Registry(
        default_provider,
        _merge("model provider", base.models, hook.pytest_repoagent_models()),
        _merge("tool", base.tools, [{tool.spec.name: tool for tool in some} for some in tools]),
        _merge("task source", base.sources, hook.pytest_repoagent_sources()),
        _merge("test runner", base.runners, hook.pytest_repoagent_runners()),
    )


def _merge(kind: str, base: Mapping[str, Any], added: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    merged = dict(base)
    for some in added:
        for name, part in some.items():
            if name in merged:
                raise UsageError(f"a hook adds the {kind} {name!r}, which there is already; give it another name")
            merged[name] = part
    return merged
