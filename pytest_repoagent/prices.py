"""What tokens cost: the user's price, else that of the dated table ``prices.toml``, else only tokens are counted."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib import resources

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class Price(BaseModel):
    """USD per million tokens; ``as_of`` is None where the user said so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: float = Field(ge=0)
    completion: float = Field(ge=0)
    as_of: date | None = None

    @property
    def usd(self) -> tuple[float, float]:
        """Of prompt and completion."""
        return self.prompt, self.completion


def price_of(spec: str, given: tuple[float, float] | None) -> Price | None:
    """The price of a model: what the user gave, else the table's; None where neither knows."""
    return Price(prompt=given[0], completion=given[1]) if given is not None else _table().get(spec)


def describe(spec: str, price: Price | None) -> str:
    """One line for the user."""
    if price is None:
        return f"no price is known for {spec}, so only tokens are counted; give --price=IN,OUT"
    dated = f", as of {price.as_of}" if price.as_of else ""
    return f"{spec} costs ${price.prompt:g} and ${price.completion:g} for a million prompt and completion tokens{dated}"


@cache
def _table() -> Mapping[str, Price]:
    text = resources.files(__package__).joinpath("prices.toml").read_text(encoding="utf-8")
    return TypeAdapter(dict[str, Price]).validate_python(tomllib.loads(text))
