"""How fast the store becomes an SFT file, beside plain Python over the same rollouts' traces.

Every builder runs in a process of its own, does the same work (choose steps, rebuild prompts and check their hashes,
compare texts with the held-out programs, drop duplicates, write rows) and must write the same bytes. Ours also writes
lineage and counts tokens; ``the command`` is all of `repoagent build sft`, which checks the file with the validator and
Together's SDK besides. Printed are wall and CPU seconds, and peak memory: the sum of the peaks of its processes where
there are two.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

from sft_data import make

Builder = Callable[[Path, Path, Path], None]
OPTIONS = ["--max-per-slot=0", "--val-fraction=0"]  # as many rows as there are


def main() -> None:
    """Make the rollouts, run each builder, and compare what they wrote."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=10_000, help="default: 10,000; the documented run has 100,000")
    parser.add_argument("--steps", type=int, default=10, help="of each rollout, default: 10")
    parser.add_argument("--folder", type=Path, help="keep what is made here, and use it again")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        store, traces = folder / "store.duckdb", folder / "traces"
        if not store.exists():
            folder.mkdir(parents=True, exist_ok=True)
            make(folder, args.rollouts, args.steps)
        written = {}
        for name, build in BUILDERS.items():
            out = folder / "out"
            wall, cpu, memory = _measure(build, store, traces, out)
            with out.open("rb") as file:
                written[name] = hashlib.file_digest(file, "sha256").hexdigest()
                rows, size = sum(1 for _ in out.open("rb")), out.stat().st_size
            out.unlink()
            print(
                f"{name:20} {wall:7.1f} s wall {cpu:7.1f} s CPU {memory:6.0f} MB peak {rows:,} rows {size / 1e9:.2f} GB"
            )
    if len(set(written.values())) != 1:
        sys.exit(f"they wrote different rows: {written}")


def _measure(build: Builder, store: Path, traces: Path, out: Path) -> tuple[float, float, float]:
    began = time.perf_counter()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        build(store, traces, out)
        peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        os.write(writer, str(sum(peaks)).encode())
        os._exit(0)
    _, status, usage = os.wait4(child, 0)
    if status:
        sys.exit(f"{build} failed")
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, int(os.read(reader, 100)) / 1024


def ours(store: Path, traces: Path, out: Path) -> None:
    """`repoagent build sft` up to the files, which are its rows, their lineage and all counts."""
    from builders import dataset, sft
    from builders.arguments import order
    from builders.tokens import TokenCounter

    parser = argparse.ArgumentParser()
    sft.add_arguments(parser)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        args = parser.parse_args([f"--db={store}", f"--out={folder}", *OPTIONS])
        dataset.write_files(order(args, "sft"), partial(sft.plan, args), Path(folder), TokenCounter(), True)
        (Path(folder) / "train.jsonl").rename(out)


def command(store: Path, traces: Path, out: Path) -> None:
    """All of `repoagent build sft`."""
    from pytest_repoagent.cli import main

    folder = out.with_name("dataset")
    with redirect_stdout(None):
        if main(["build", "sft", f"--db={store}", f"--out={folder}", "--force", *OPTIONS]):
            os._exit(1)
    (folder / "train.jsonl").rename(out)


def stdlib(store: Path, traces: Path, out: Path) -> None:
    """Plain Python with the json module."""

    def dumps(value: Any) -> bytes:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    def dumps_sorted(value: Any) -> bytes:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()

    _plain(store, traces, out, json.loads, dumps, dumps_sorted)


def with_orjson(store: Path, traces: Path, out: Path) -> None:
    """Plain Python with orjson."""
    import orjson

    def dumps_sorted(value: Any) -> bytes:
        return bytes(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))

    _plain(store, traces, out, orjson.loads, orjson.dumps, dumps_sorted)


def _plain(
    store: Path,
    traces: Path,
    out: Path,
    loads: Callable[[bytes], Any],
    dumps: Callable[[Any], bytes],
    dumps_sorted: Callable[[Any], bytes],
) -> None:
    from builders import leakage
    from pytest_repoagent.store import reader

    with reader.connect(store) as connection:
        held_out = leakage.load(connection, [], None)
    seen: set[bytes] = set()
    left_out: Counter[str] = Counter()
    with out.open("wb") as file:
        for path in sorted(traces.rglob("*.jsonl")):
            with path.open("rb") as lines:
                events = [loads(line) for line in lines]
            if not events[-1].get("success") or events[0]["run"]["split"] != "train":
                left_out["rollout"] += 1
                continue
            said = [m for event in events for m in event.get("new_messages", ())]
            said += [
                {"role": "assistant", "content": event["raw"]} for event in events if event["kind"] == "llm_action"
            ]
            if held_out.collision(said):
                left_out["held out"] += 1
                continue
            ok = {event["step"]: event["ok"] for event in events if event["kind"] == "tool_result"}
            messages: list[dict[str, Any]] = []
            for event in events:
                if event["kind"] == "llm_request":
                    messages += event["new_messages"]
                    digest = event["prompt_sha256"]
                elif event["kind"] == "llm_action":
                    action, step = event["action"], event["step"]
                    if not event["strict_valid"] or ok.get(step) is False or "exact_repeat" in event["flags"]:
                        left_out["step"] += 1
                    elif hashlib.sha256(dumps_sorted(messages)).hexdigest() != digest:
                        left_out["prompt"] += 1
                    else:
                        target = dumps(action)
                        key = hashlib.sha256(digest.encode() + target).digest()
                        if key in seen:
                            left_out["duplicate"] += 1
                        else:
                            seen.add(key)
                            row = [{"role": m["role"], "content": m["content"], "weight": 0} for m in messages]
                            row.append({"role": "assistant", "content": target.decode(), "weight": 1})
                            file.write(dumps({"messages": row, "weight": 1.0}) + b"\n")
                    messages.append({"role": "assistant", "content": event["raw"]})


BUILDERS: dict[str, Builder] = {"ours": ours, "orjson": with_orjson, "json": stdlib, "the command": command}

if __name__ == "__main__":
    main()
