"""Together's fine-tuning API on 127.0.0.1 for tests, below the real SDK: files, jobs, endpoints, chat.

    with TogetherServer() as server:                       # set TOGETHER_BASE_URL to server.url
    server.fault("POST", "/v1/fine-tunes", Answer(status=500))                 # the next such request fails
    server.fault("POST", "/v1/fine-tunes", Answer(fault="reset"), after=True)  # ... once its work is done

No clock moves it: files and jobs go one stage on each time they are read. Ids follow from the content. What the real
service says is known from ``together`` 3.1.1 and Together's documentation; assumed here are the wording of findings, a
price of a millionth of a USD a byte, and that a job on data of the other kind ends as user_error.
"""

from __future__ import annotations

import email
import email.policy
import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from loopback import Answer, LoopbackServer, Request

BASE = "Qwen/Qwen3.5-9B"
HARDWARE = "1xnvidia-h100-80gb"
FILE_STAGES = ("PENDING", "RUNNING", "COMPLETED")
JOB_STAGES = ("pending", "queued", "running", "compressing", "uploading", "completed")
USD_PER_BYTE = 1e-6
EVENTS = {
    "pending": ("job_pending", "Fine-tune request created", 0),
    "running": ("training_start", "Training started", 0),
    "compressing": ("training_complete", "Training completed", 2),
    "completed": ("job_complete", "Job finished", 2),
    "cancelled": ("job_stopped", "Job cancelled", 0),
    "error": ("job_error", "Node failed", 0),
    "user_error": ("job_error", "The data does not fit the method", 0),
}

Json = dict[str, Any]


class Refusal(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.answer = Answer(status=status, body={"error": {"message": message}, **more})


@dataclass
class Stored:
    id: str
    name: str
    checksum: str
    data: bytes | None = None
    asked: bool = False  # to be checked
    stage: int = 0

    def json(self, finding: str | None) -> Json:
        status = FILE_STAGES[self.stage]
        shown: Json = {"id": self.id, "object": "file", "created_at": 1, "filename": self.name, "purpose": "fine-tune"}
        shown |= {"bytes": len(self.data or b""), "FileType": "jsonl", "processing_status": status}
        if status == "COMPLETED":
            rows = (self.data or b"").splitlines()
            report: Json = {"valid": True, "dataset_format": self.format, "nlines": len(rows)}
            if finding:
                shown["processing_status"] = "INVALID_FORMAT"
                report = {"valid": False, "error_type": "INVALID_FORMAT", "error": finding}
            shown["validation_report"] = report
        return shown

    @property
    def format(self) -> str:
        return "PREFERENCE" if b'"preferred_output"' in (self.data or b"") else "CONVERSATION"


@dataclass
class Tuning:
    id: str
    request: Json
    base: str
    price: float
    plan: list[str]
    stage: int = 0

    @property
    def status(self) -> str:
        return self.plan[self.stage]

    def json(self) -> Json:
        number = self.id.removeprefix("ft-")
        shown: Json = {"id": self.id, "status": self.status, "user_id": "u", "model": self.base}
        shown |= {name: self.request.get(name) for name in ("suffix", "training_file", "training_type")}
        shown |= {"model_output_name": f"acct/{self.base.split('/')[-1]}-{self.request['suffix']}-{number}"}
        if self.status == "completed":
            shown |= {"model_object_id": f"ml_{number}", "total_price": round(self.price * 1e9)}
        return shown

    def events(self) -> list[Json]:
        reached = [(at, *EVENTS[status]) for at, status in enumerate(self.plan[: self.stage + 1]) if status in EVENTS]
        return [
            {"created_at": f"2026-11-21T09:00:{at:02}Z", "type": kind, "message": text, "step": step, "total_steps": 2}
            for at, kind, text, step in reached
        ]


@dataclass
class Fault:
    method: str
    path: re.Pattern[str]
    answer: Answer
    after: bool
    times: int


@dataclass
class Endpoint:
    id: str
    name: str
    deployments: dict[str, Json] = field(default_factory=dict)
    split: list[Json] = field(default_factory=list)

    def json(self) -> Json:
        return {"id": self.id, "name": self.name, "deployments": [{"id": each} for each in self.deployments]}


class TogetherServer(LoopbackServer):
    """See the module's text.

    Attributes:
        tunable: base models that can be tuned.
        limits: replaces fields of every model's bounds.
        finding: what the service says of every file; None where all are valid.
        estimate: replaces fields of every price estimate.
        trained_pieces: of each previewed row, beside one for each message of weight 1.
        next_plan: the statuses of the next job.
    """

    def __init__(self, respond: Callable[[Any], str | Answer] = lambda body: "ok", api_key: str | None = None) -> None:
        super().__init__(respond, api_key=api_key)
        self.tunable = [BASE, "meta-llama/Meta-Llama-3.1-8B-Instruct-Reference"]
        self.limits: Json = {}
        self.finding: str | None = None
        self.estimate: Json = {}
        self.trained_pieces = 0
        self.next_plan: list[str] | None = None
        self.files: dict[str, Stored] = {}
        self.jobs: dict[str, Tuning] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self.made_endpoints = 0
        self._faults: list[Fault] = []
        self._lock = threading.RLock()

    def fault(self, method: str, path: str, answer: Answer, *, after: bool = False, times: int = 1) -> None:
        """Answer the next requests of a method and a path (a regular expression) so; ``after``: with the work done."""
        self._faults.append(Fault(method, re.compile(path), answer, after, times))

    def seen(self, method: str, path: str) -> list[Request]:
        return [each for each in self.requests if each.method == method and re.fullmatch(path, _path(each))]

    def answer(self, request: Request) -> Answer:
        if _path(request).endswith("/chat/completions"):
            return self._chat(request)
        self.requests.append(request)
        stored = _path(request).startswith("/storage/")
        if not stored and self.api_key and request.headers.get("authorization") != f"Bearer {self.api_key}":
            return Answer(f"invalid API key {request.headers.get('authorization')}", status=401)
        with self._lock:
            fault = self._take_fault(request)
            if fault and not fault.after:
                return fault.answer
            answer = self._route(request)
        return fault.answer if fault else answer

    def _take_fault(self, request: Request) -> Fault | None:
        for fault in self._faults:
            if fault.times and fault.method == request.method and fault.path.fullmatch(_path(request)):
                fault.times -= 1
                return fault
        return None

    def _route(self, request: Request) -> Answer:
        for method, path, work in _ROUTES:
            if method == request.method and (found := re.fullmatch(path, _path(request))):
                try:
                    done = work(self, request, *map(unquote, found.groups()))
                except Refusal as refusal:
                    return refusal.answer
                return done if isinstance(done, Answer) else Answer(body=done)
        return Answer(f"no such path {request.path}", status=404)

    # files

    def _new_file(self, request: Request) -> Answer:
        head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
        parts = email.message_from_bytes(head + request.data, policy=email.policy.HTTP).iter_parts()
        form = {part.get_param("name", header="content-disposition"): part.get_content().strip() for part in parts}
        for old in self.files.values():
            if old.data is not None and old.checksum == form["checksum"]:
                raise Refusal(409, "file exists", file_id=old.id)
        new = Stored(f"file-{form['checksum'][:12]}", form["file_name"], form["checksum"])
        self.files[new.id] = new
        return Answer(status=302, headers={"Location": f"{self.url}/storage/{new.id}", "X-Together-File-Id": new.id})

    def _put(self, request: Request, id: str) -> Answer:
        if hashlib.sha256(request.data).hexdigest() != self.files[id].checksum:
            raise Refusal(400, "checksum mismatch")
        self.files[id].data = request.data
        return Answer(body="")

    def _preprocess(self, request: Request, id: str) -> Json:
        self.files[id].asked = True
        return self.files[id].json(self.finding)

    def _get_file(self, request: Request, id: str) -> Json:
        stored = self._file(id)
        shown = stored.json(self.finding)
        stored.stage = min(stored.stage + stored.asked, len(FILE_STAGES) - 1)
        return shown

    def _file(self, id: str) -> Stored:
        if id not in self.files:
            raise Refusal(404, f"file {id} not found")
        return self.files[id]

    # jobs

    def _supported(self, request: Request) -> Json:
        return {"models": self.tunable}

    def _limits(self, request: Request) -> Json:
        name = parse_qs(urlsplit(request.path).query)["model_name"][0]
        base = self.jobs[name].base if name in self.jobs else name
        if base not in self.tunable:
            raise Refusal(404, f"model {name} is not available for fine-tuning")
        sizes = {"max_batch_size": 8, "max_batch_size_dpo": 8, "min_batch_size": 8}
        lora = {**sizes, "max_rank": 64, "default_rank": 64, "target_modules": ["q_proj"]}
        bounds: Json = {"model_name": base, "lora_training": lora, "full_training": sizes}
        bounds |= {"max_num_epochs": 20, "max_num_evals": 100, "max_num_checkpoints": 10}
        bounds |= {"min_learning_rate": 1e-8, "max_learning_rate": 0.01, "default_gradient_accumulation_steps": 1}
        bounds |= {"max_seq_length_sft": 65536, "max_seq_length_dpo": 49152, "min_max_seq_length": 1024}
        bounds |= {"merge_output_lora": True, "supports_full_training": True, "supports_reasoning": True}
        bounds |= {"supports_tools": True, "supports_vision": False}
        return {**bounds, **self.limits}

    def _estimate(self, request: Request) -> Json:
        sizes = [len(self._file(request.json[name]).data or b"") for name in _FILES if request.json.get(name)]
        shown: Json = {"estimation_available": True, "allowed_to_proceed": True, "user_limit": 100.0}
        shown |= {"estimated_train_token_count": sizes[0], "estimated_eval_token_count": sum(sizes[1:])}
        shown |= {"estimated_total_price": sum(sizes) * USD_PER_BYTE, **self.estimate}
        return shown if shown["estimation_available"] else self.estimate

    def _preview(self, request: Request) -> Json:
        rows = []
        for line in (self._file(request.json["training_file"]).data or b"").splitlines()[: request.json["top_k"]]:
            learned = sum(message["weight"] for message in json.loads(line)["messages"]) + self.trained_pieces
            spans = [[2 * at, 2 * at + 1] for at in range(learned)]
            rows.append({"num_tokens": 99, "num_trained_tokens": learned, "trained_spans": spans, "truncated": False})
        return {"dataset_format": "conversation", "max_seq_length": 65536, "model": request.json["model"], "rows": rows}

    def _create_job(self, request: Request) -> Json:
        wanted = request.json
        if wanted.get("model") and wanted.get("from_checkpoint"):
            raise Refusal(400, "specify either model or from_checkpoint, not both")
        if parent := wanted.get("from_checkpoint"):
            if self.jobs[parent].status != "completed":
                raise Refusal(400, f"{parent} is {self.jobs[parent].status}")
            base = self.jobs[parent].base
        else:
            base = wanted["model"]
        train = self._file(wanted["training_file"])
        fits = (wanted["training_method"]["method"] == "dpo") == (train.format == "PREFERENCE")
        plan = self.next_plan or (list(JOB_STAGES) if fits else ["pending", "running", "user_error"])
        self.next_plan = None
        digest = hashlib.sha256(json.dumps([len(self.jobs), wanted]).encode()).hexdigest()
        job = Tuning(f"ft-{digest[:8]}-{digest[8:12]}", wanted, base, len(train.data or b"") * USD_PER_BYTE, plan)
        self.jobs[job.id] = job
        return job.json()

    def _list_jobs(self, request: Request) -> Json:
        return {"data": [job.json() for job in self.jobs.values()]}

    def _get_job(self, request: Request, id: str) -> Json:
        job = self._job(id)
        shown = job.json()
        job.stage = min(job.stage + 1, len(job.plan) - 1)
        return shown

    def _events(self, request: Request, id: str) -> Json:
        return {"data": [{"object": "fine-tune-event", **event} for event in reversed(self._job(id).events())]}

    def _cancel(self, request: Request, id: str) -> Json:
        job = self._job(id)
        if job.status in ("completed", "cancelled", "error", "user_error"):
            raise Refusal(400, f"job {id} is already {job.status}")
        job.plan = [*job.plan[: job.stage + 1], "cancel_requested", "cancelled"]
        job.stage += 1
        return job.json()

    def _job(self, id: str) -> Tuning:
        if id not in self.jobs:
            raise Refusal(404, f"fine-tune job {id} not found")
        return self.jobs[id]

    # endpoints

    def _whoami(self, request: Request) -> Json:
        return {"type": "project_api_key", "project": {"id": "proj_1", "slug": "lab", "name": "Lab"}}

    def _configs(self, request: Request, project: str) -> Json:
        kinds = {"cr_2": ("nvidia-h200", "2"), "cr_1": ("nvidia-h100-80gb", "1"), "cr_3": ("unheard-of", "1")}
        shown = [
            {"id": id, "projectId": "proj_together", "selectors": [_selector("type", kind), _selector("count", count)]}
            for id, (kind, count) in kinds.items()
        ]
        return {"data": shown}

    def _hardware(self, request: Request) -> Json:
        prices = {HARDWARE: 399, "2xh200": 1098}
        rows = [{"id": f"hw{at}", "name": each, "priceCentsPerHour": prices[each]} for at, each in enumerate(prices)]
        return {"object": "list", "data": rows}

    def _list_endpoints(self, request: Request, project: str) -> Json:
        """One to a page."""
        every = list(self.endpoints.values())
        at = int(parse_qs(urlsplit(request.path).query).get("after", ["0"])[0])
        more = {"next_cursor": str(at + 1)} if at + 1 < len(every) else {}
        return {"data": [endpoint.json() for endpoint in every[at : at + 1]], **more}

    def _create_endpoint(self, request: Request, project: str) -> Json:
        self.made_endpoints += 1
        new = Endpoint(f"ep_{self.made_endpoints}", f"lab/{request.json['name']}")
        self.endpoints[new.id] = new
        return new.json()

    def _update_endpoint(self, request: Request, project: str, id: str) -> Json:
        self._endpoint(id).split = request.json["trafficSplit"]
        return self._endpoint(id).json()

    def _delete_endpoint(self, request: Request, project: str, id: str) -> Json:
        if self._endpoint(id).deployments:
            raise Refusal(400, "the endpoint has deployments")
        del self.endpoints[id]
        return {"id": id}

    def _create_deployment(self, request: Request, project: str, id: str) -> Json:
        new = {"id": f"dep_{id}", **request.json, "reads": 0}
        self._endpoint(id).deployments[new["id"]] = new
        return self._deployment(new)

    def _get_deployment(self, request: Request, project: str, id: str, deployment: str) -> Json:
        found = self._deployed(id, deployment)
        found["reads"] += 1
        return self._deployment(found)

    def _update_deployment(self, request: Request, project: str, id: str, deployment: str) -> Json:
        self._deployed(id, deployment).update(request.json)
        return self._deployment(self._deployed(id, deployment))

    def _delete_deployment(self, request: Request, project: str, id: str, deployment: str) -> Json:
        if self._deployed(id, deployment)["autoscaling"] != {"maxReplicas": 0, "minReplicas": 0}:
            raise Refusal(400, "the deployment has replicas")
        del self.endpoints[id].deployments[deployment]
        return {"id": deployment}

    def _endpoint(self, id: str) -> Endpoint:
        if id not in self.endpoints:
            raise Refusal(404, f"endpoint {id} not found")
        return self.endpoints[id]

    def _deployed(self, id: str, deployment: str) -> Json:
        if deployment not in self._endpoint(id).deployments:
            raise Refusal(404, f"deployment {deployment} not found")
        return self.endpoints[id].deployments[deployment]

    @staticmethod
    def _deployment(found: Json) -> Json:
        state = ("READY", "Ready") if found["reads"] > 1 else ("PROVISIONING", "Scheduling replicas")
        return {"id": found["id"], "status": {"state": f"DEPLOYMENT_STATE_{state[0]}", "message": state[1]}}

    def _chat(self, request: Request) -> Answer:
        """A tuned model answers only behind an endpoint whose traffic goes to a ready deployment."""
        served = {
            endpoint.name
            for endpoint in self.endpoints.values()
            for entry in endpoint.split
            if endpoint.deployments[entry["deploymentId"]]["reads"] > 1
        }
        if request.json["model"] not in served:
            return Answer(f"Unable to access model {request.json['model']}", status=404)
        return super().answer(request)


def _selector(name: str, value: str) -> Json:
    return {"key": f"accelerator_{name}", "value": value}


def _path(request: Request) -> str:
    return urlsplit(request.path).path


_FILES = ("training_file", "validation_file")
_ID = "/([^/]+)"
_ENDPOINTS = f"/v2/projects{_ID}/endpoints"
_ROUTES: list[tuple[str, str, Callable[..., Any]]] = [
    ("POST", "/v1/files", TogetherServer._new_file),
    ("PUT", f"/storage{_ID}", TogetherServer._put),
    ("POST", f"/v1/files{_ID}/preprocess", TogetherServer._preprocess),
    ("GET", f"/v1/files{_ID}", TogetherServer._get_file),
    ("GET", "/v1/fine-tunes/models/supported", TogetherServer._supported),
    ("GET", "/v1/fine-tunes/models/limits", TogetherServer._limits),
    ("POST", "/v1/fine-tunes/estimate-price", TogetherServer._estimate),
    ("POST", "/v1/fine-tunes/preview", TogetherServer._preview),
    ("POST", "/v1/fine-tunes", TogetherServer._create_job),
    ("GET", "/v1/fine-tunes", TogetherServer._list_jobs),
    ("GET", f"/v1/fine-tunes{_ID}", TogetherServer._get_job),
    ("GET", f"/v1/fine-tunes{_ID}/events", TogetherServer._events),
    ("POST", f"/v1/fine-tunes{_ID}/cancel", TogetherServer._cancel),
    ("GET", "/v3/whoami", TogetherServer._whoami),
    ("GET", f"/v2/projects{_ID}/configs", TogetherServer._configs),
    ("GET", "/v2/public/inference-instance-types", TogetherServer._hardware),
    ("GET", _ENDPOINTS, TogetherServer._list_endpoints),
    ("POST", _ENDPOINTS, TogetherServer._create_endpoint),
    ("PATCH", f"{_ENDPOINTS}{_ID}", TogetherServer._update_endpoint),
    ("DELETE", f"{_ENDPOINTS}{_ID}", TogetherServer._delete_endpoint),
    ("POST", f"{_ENDPOINTS}{_ID}/deployments", TogetherServer._create_deployment),
    ("GET", f"{_ENDPOINTS}{_ID}/deployments{_ID}", TogetherServer._get_deployment),
    ("PATCH", f"{_ENDPOINTS}{_ID}/deployments{_ID}", TogetherServer._update_deployment),
    ("DELETE", f"{_ENDPOINTS}{_ID}/deployments{_ID}", TogetherServer._delete_deployment),
]
