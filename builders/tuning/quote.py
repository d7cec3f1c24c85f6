"""What may be tuned, within which bounds, and what it will cost: all that is asked before a job is created."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

from builders.tuning.api import Api
from builders.tuning.data import File
from builders.tuning.money import usd
from builders.tuning.request import Target
from builders.tuning.wire import Estimate, Limits, Preview, TunableModels
from pytest_repoagent.errors import UsageError

PREVIEWED = 5
"""Rows whose mask is looked at."""


def limits(api: Api, target: Target) -> Limits:
    """The bounds for what is to be tuned.

    Raises:
        UsageError: it cannot be tuned; the error lists what can.
    """
    from httpx import Response

    if target.model:
        tunable = api.ask(
            lambda client: client.get("/v1/fine-tunes/models/supported", cast_to=Response), TunableModels
        ).models
        if target.model not in tunable:
            raise UsageError(f"Together does not tune {target.model} now; it tunes {', '.join(sorted(tunable))}")
    return api.ask(
        lambda client: client.fine_tuning.with_raw_response.model_limits(model_name=target.name).http_response, Limits
    )


def estimate(api: Api, body: dict[str, Any]) -> Estimate:
    """What the job of a request will cost."""
    asked = {
        name: body[name]
        for name in (
            *("training_file", "validation_file", "model", "from_checkpoint"),
            *("n_epochs", "n_evals", "training_method", "training_type"),
        )
        if body.get(name) not in (None, "")
    }
    return api.ask(lambda client: client.fine_tuning.with_raw_response.estimate_price(**asked).http_response, Estimate)


def guard(found: Estimate, max_usd: float, without_estimate: bool) -> str:
    """Refuse what costs too much or what nobody knows the cost of; returns a line about the price.

    Raises:
        UsageError: the estimate is above ``max_usd`` or the account's limit, or there is none and
            ``without_estimate`` was not given.
    """
    price = found.estimated_total_price
    if not found.estimation_available or price is None:
        why = found.unavailable_reason or "it gives no price"
        if not without_estimate:
            raise UsageError(
                f"Together cannot say what this job costs ({why}), so --max-usd cannot be kept; nothing was submitted: "
                "--without-estimate submits it all the same"
            )
        return f"price: unknown ({why})"
    tokens = (found.estimated_train_token_count or 0) + (found.estimated_eval_token_count or 0)
    about = f"about {usd(price)} for {tokens:,.0f} tokens"
    if price > max_usd:
        raise UsageError(f"the job costs {about}, which is above --max-usd {max_usd:g}; nothing was submitted")
    if found.allowed_to_proceed is False:
        limit = "" if found.user_limit is None else f" (limit: {usd(found.user_limit)})"
        raise UsageError(f"the job costs {about}, which the account may not spend{limit}; nothing was submitted")
    return f"price: {about}"


def check_masks(api: Api, base_model: str, training_file: str, file: File) -> str:
    """Compare what the service would train of the first rows with what they say; returns a line about it.

    Raises:
        UsageError: a row would be cut, or other messages would be learned than those with weight 1.
        Rejected: the service cannot show them.
    """
    preview = api.ask(
        lambda client: (
            client.fine_tuning.with_raw_response.preview(
                model=base_model, training_file=training_file, top_k=PREVIEWED, train_on_inputs=False
            ).http_response
        ),
        Preview,
    )
    with file.path.open(encoding="utf-8") as lines:
        rows = [json.loads(line)["messages"] for line in islice(lines, len(preview.rows))]
    for number, (messages, shown) in enumerate(zip(rows, preview.rows, strict=True), 1):
        learned = sum(message.get("weight", 1) for message in messages if message["role"] == "assistant")
        if shown.truncated:
            raise UsageError(f"{file.path}:{number}: Together would cut this row at {shown.num_tokens:,} tokens")
        if len(shown.trained_spans) != learned:
            raise UsageError(
                f"{file.path}:{number}: Together would learn {len(shown.trained_spans)} pieces of this row, but "
                f"{learned} of its messages have weight 1; nothing was submitted"
            )
    tokens, trained = (sum(getattr(row, name) for row in preview.rows) for name in ("num_tokens", "num_trained_tokens"))
    return f"masks: as written in the first {len(rows)} rows; {trained:,} of {tokens:,} tokens are learned"
