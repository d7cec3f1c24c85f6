"""The floor: a loop that copies the files, parses each reply, calls its tool and appends a line to a file."""

from __future__ import annotations

import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import work


def run(folder: Path, rollouts: int, concurrency: int, latency_s: float) -> int:
    """All rollouts, in threads."""
    source = work.make(folder / "source")
    logs = folder / "logs"
    logs.mkdir()

    def rollout(index: int) -> None:
        root = folder / str(index)
        shutil.copytree(source, root)
        messages = [{"role": "user", "content": work.GOAL}]
        with (logs / f"{index}.jsonl").open("w") as log:
            for step, text in enumerate(work.REPLIES):
                if latency_s:
                    time.sleep(latency_s)
                action = json.loads(text)
                result = work.call_tool(root, action["name"], action["args"]) if "name" in action else ""
                messages += [{"role": "assistant", "content": text}, {"role": "user", "content": result}]
                log.write(json.dumps({"step": step, "raw": text, "result": result}) + "\n")
        work.check(root)
        shutil.rmtree(root)

    with ThreadPoolExecutor(concurrency) as pool:
        list(pool.map(rollout, range(rollouts)))
    return work.size(logs)


if __name__ == "__main__":
    work.main(run)
