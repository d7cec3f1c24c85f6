"""inspect-ai with the leanest agent one can write for it: JSON in text, tools in the process, no tool schema."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import work
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, ModelOutput, ModelUsage, get_model
from inspect_ai.solver import Generate, TaskState, solver


def run(folder: Path, rollouts: int, concurrency: int, latency_s: float) -> int:
    """All rollouts, as the samples of one evaluation."""
    source = work.make(folder / "source")
    os.chdir(folder)

    async def answer(messages: list[Any], *rest: Any) -> ModelOutput:
        if latency_s:
            await asyncio.sleep(latency_s)
        step = sum(message.role == "assistant" for message in messages)
        output = ModelOutput.from_content("mockllm", work.REPLIES[step])
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)  # else it downloads a tokenizer
        return output

    @solver
    def agent() -> Any:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            root = folder / str(state.sample_id)
            shutil.copytree(source, root)
            model = get_model()
            messages = [ChatMessageSystem(content="Answer with one JSON object."), *state.messages]
            while True:
                state.output = await model.generate(messages)
                messages.append(state.output.message)
                action = json.loads(state.output.completion)
                if action["type"] == "final":
                    break
                messages.append(ChatMessageUser(content=work.call_tool(root, action["name"], action["args"])))
            state.messages = messages
            work.check(root)
            shutil.rmtree(root)
            return state

        return solve

    samples = [Sample(id=number + 1, input=work.GOAL) for number in range(rollouts)]
    [log] = eval(
        Task(dataset=samples, solver=agent()),
        model=get_model("mockllm/model", custom_outputs=answer, memoize=False),
        log_dir="logs",
        display="none",
        max_samples=concurrency,
        max_connections=concurrency,
    )
    if log.status != "success":
        raise SystemExit(f"inspect-ai ended with {log.status}: {log.error}")
    return work.size(folder / "logs")


if __name__ == "__main__":
    work.main(run)
