"""What Together's API answers, as far as this project reads it; the SDK itself checks no reply.

Shapes follow ``together`` 3.1.1 and Together's OpenAPI description.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

FAILED = frozenset({"cancelled", "error", "user_error"})
TERMINAL = FAILED | {"completed"}
"""The statuses in which a job stays."""
_NANO_USD = 1e-9

_Lower = Annotated[str, BeforeValidator(lambda text: text.lower() if isinstance(text, str) else text)]


class FileReport(BaseModel):
    """What the service found in a file."""

    valid: bool
    error: str | None = None
    dataset_format: str | None = None
    nlines: int | None = None


class StoredFile(BaseModel):
    """A file at the service. ``processing_status`` is None where it was not looked at."""

    id: str
    processing_status: _Lower | None = None
    validation_report: FileReport | None = None


class LoraLimits(BaseModel):
    """Bounds for LoRA."""

    max_rank: int
    max_batch_size: int
    max_batch_size_dpo: int
    min_batch_size: int


class FullLimits(BaseModel):
    """Bounds for training all weights."""

    max_batch_size: int
    max_batch_size_dpo: int
    min_batch_size: int


class Limits(BaseModel):
    """What a base model can be tuned with; lengths in tokens."""

    model_name: str
    max_num_epochs: int
    max_num_evals: int
    min_learning_rate: float
    max_learning_rate: float
    max_seq_length_sft: int
    max_seq_length_dpo: int
    supports_full_training: bool
    supports_reasoning: bool
    lora_training: LoraLimits
    full_training: FullLimits | None = None


class TunableModels(BaseModel):
    """The names of the base models that can be tuned now."""

    models: list[str]


class Estimate(BaseModel):
    """What a job will cost, in USD, or why that is not known."""

    estimation_available: bool
    unavailable_reason: str | None = None
    estimated_total_price: float | None = None
    estimated_train_token_count: float | None = None
    estimated_eval_token_count: float | None = None
    allowed_to_proceed: bool | None = None
    user_limit: float | None = None


class LoraSettings(BaseModel):
    """How a job trains: ``Lora`` or ``Full``."""

    type: str
    lora_r: int | None = None
    lora_alpha: int | None = None
    lora_dropout: float | None = None
    lora_trainable_modules: str | None = None


class Job(BaseModel):
    """A fine-tuning job. ``total_price`` is in billionths of a USD."""

    model_config = ConfigDict(protected_namespaces=())

    id: str
    status: _Lower
    model: str | None = None
    suffix: str | None = None
    from_checkpoint: str | None = None
    model_output_name: str | None = None
    model_object_id: str | None = None
    total_price: float | None = None
    training_type: LoraSettings | None = None

    @property
    def cost_usd(self) -> float | None:
        """What was charged; None while that is not known."""
        return self.total_price * _NANO_USD if self.total_price else None


class Jobs(BaseModel):
    """Every job of the account."""

    data: list[Job]


class Event(BaseModel):
    """Something that happened to a job."""

    created_at: str
    type: _Lower
    message: str
    level: _Lower | None = None
    step: int | None = None
    total_steps: int | None = None


class Events(BaseModel):
    """All that happened to a job so far, in any order."""

    data: list[Event]


class PreviewRow(BaseModel):
    """A row as the service would train it; spans are half-open ranges of tokens with loss."""

    num_tokens: int
    num_trained_tokens: int
    trained_spans: list[tuple[int, int]]
    truncated: bool


class Preview(BaseModel):
    """The first rows of a file as the service would train them."""

    rows: list[PreviewRow] = Field(min_length=1)


class _Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, protected_namespaces=())


class Project(_Camel):
    """Whom endpoints belong to."""

    id: str


class Identity(_Camel):
    """Whose key it is."""

    project: Project


class Selector(_Camel):
    """One requirement of a configuration, such as ``accelerator_type``."""

    key: str
    value: str


class Config(_Camel):
    """A way to serve a model."""

    id: str
    project_id: str
    selectors: list[Selector] = []

    @property
    def hardware(self) -> str | None:
        """The instance type it needs, such as ``1xnvidia-h100-80gb``; None where it does not say."""
        found = {selector.key: selector.value for selector in self.selectors}
        kind, count = found.get("accelerator_type"), found.get("accelerator_count")
        return f"{count}x{kind}" if kind and count else None


class Configs(_Camel):
    """The ways to serve a model."""

    data: list[Config]


class Instance(_Camel):
    """A machine one can be served on."""

    id: str
    name: str
    price_cents_per_hour: int


class Instances(_Camel):
    """Every machine there is."""

    data: list[Instance]


class DeploymentState(_Camel):
    """How a deployment is."""

    state: str
    message: str = ""


class Deployment(_Camel):
    """Replicas of a model behind an endpoint."""

    id: str
    status: DeploymentState | None = None


class Endpoint(_Camel):
    """What a model is asked by: ``name`` is the model of a chat request."""

    id: str
    name: str
    deployments: list[Deployment] = []


class Endpoints(_Camel):
    """A page of a project's endpoints."""

    data: list[Endpoint]
    next_cursor: str | None = None


class Nothing(BaseModel):
    """An answer of which only that it came is of interest."""
