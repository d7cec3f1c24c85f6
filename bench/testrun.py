"""What a test run costs: the warm, sandboxed runner against a fresh ``python -m pytest`` process for the same programs.

Both judge the same programs in turn, so that noise falls on both alike; floors stand beside them. QuixBugs is used
where QUIXBUGS_ROOT names a checkout, else the bundled minibugs. CPU is that of all processes: the driver, what it
waited for, and, for the warm runner, the server's processes. Prints Markdown; ``--quick`` gives rough figures soon.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from pytest_repoagent.suites import load_suite
from pytest_repoagent.testrun import warm_runner
from pytest_repoagent.testrun.base import Job, Limits, Runner
from pytest_repoagent.testrun.subprocess_runner import SubprocessRunner
from pytest_repoagent.testrun.warm_runner import WarmRunner

ROOT = Path(__file__).resolve().parent.parent
QUIXBUGS = os.environ.get("QUIXBUGS_ROOT")
CORRECT, BUGGY = "correct_python_programs", "python_programs"
FORK = """
import os, resource, statistics, time
def cpu():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
walls, before = [], cpu()
for _ in range(200):
    began = time.perf_counter()
    if not (pid := os.fork()):
        os._exit(0)
    os.waitpid(pid, 0)
    walls.append(time.perf_counter() - began)
print(statistics.median(walls), (cpu() - before) / 200)
"""
FLOORS = {
    "start `python -I -S`": ["-I", "-S", "-c", "pass"],
    "start `python -c 'import pytest'`": ["-c", "import pytest"],
}


@dataclass(frozen=True)
class Cost:
    """Seconds of one run."""

    wall: float
    cpu: float


def jobs(folder: str) -> dict[str, Job]:
    """The tasks with one version of each program as the candidate."""
    suite = load_suite(ROOT / "eval/suites" / ("quixbugs_master.json" if QUIXBUGS else "minibugs_master.json"))
    root = Path(QUIXBUGS) if QUIXBUGS else ROOT / "eval/minibugs"
    return {
        task.name: Job(
            root=root,
            paths=tuple(task.files),
            candidate={f"python_programs/{task.name}.py": (root / folder / f"{task.name}.py").read_text()},
            command=task.command,
            expected_passed=task.expected_tests.passed,
            expected_skipped=task.expected_tests.skipped,
            limits=Limits(cpu_s=10 if folder == CORRECT else 4),
            editable=task.editable,
        )
        for task in suite.tasks
    }


def children() -> list[int]:
    """All processes below this one."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(entry.name))
    found = [os.getpid()]
    for pid in found:
        found += parents.get(pid, [])
    return found[1:]


def kept_cpu_s(pids: Sequence[int]) -> float:
    """CPU seconds of processes that live on, without their children's; finer than the clock ticks of ``stat``."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e9


def waited_cpu_s() -> float:
    """CPU seconds of the processes that this one waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def cost(runner: Runner, job: Job) -> tuple[Cost, str]:
    """What a run costs, and its verdict's reason."""
    kept = children()
    before = time.process_time() + kept_cpu_s(kept) + waited_cpu_s()
    began = time.perf_counter()
    verdict = runner.run(job)
    wall = time.perf_counter() - began
    cpu = time.process_time() + kept_cpu_s(kept) + waited_cpu_s() - before
    if isinstance(runner, WarmRunner):  # the server waited for the run's own processes, and reports what they used
        cpu += verdict.cpu_s
    return Cost(wall, cpu), verdict.reason


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and runs")
    parser.add_argument("--rate", nargs=2, metavar=("RUNNER", "SECONDS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.rate:
        print(runs_in(arguments.rate[0], float(arguments.rate[1])))
        return
    quick = arguments.quick
    print(f"{'QuixBugs' if QUIXBUGS else 'minibugs'}, Python {sys.version.split()[0]}, {os.cpu_count()} cores\n")
    floors(5 if quick else 25)
    compare(1 if quick else 5)
    throughput(2 if quick else 15)
    growth(200 if quick else 2000)


def floors(rounds: int) -> None:
    """What any runner pays that forks, starts Python, or imports pytest."""
    table("floor", "wall ms", "CPU ms")
    wall, cpu = subprocess.run([sys.executable, "-I", "-S", "-c", FORK], capture_output=True, check=True).stdout.split()
    row("fork a bare Python and wait", 1000 * float(wall), 1000 * float(cpu))
    for name, arguments in FLOORS.items():
        costs = []
        for _ in range(rounds):
            cpu_before, began = waited_cpu_s(), time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True)
            costs.append(Cost(time.perf_counter() - began, waited_cpu_s() - cpu_before))
        row(name, *(1000 * statistics.median(column) for column in columns(costs)))


def compare(rounds: int) -> None:
    """Both runners on each program in turn; the median over programs of each program's median.

    A task's first run, in which the warm runner prepares it, is shown apart.
    """
    with closing(WarmRunner("auto")) as warm:
        cold = SubprocessRunner()
        table(
            "programs", "first ms", "subprocess ms", "warm ms", "ratio", "subprocess CPU ms", "warm CPU ms", "CPU ratio"
        )
        for title, folder in (("correct", CORRECT), ("buggy, without time-outs", BUGGY)):
            first, judges = [], set()
            medians: dict[str, list[tuple[float, float]]] = {cold.name: [], warm.name: []}
            for name, job in jobs(folder).items():
                verdict = warm.run(job)
                if verdict.reason == "timed_out":
                    continue
                first.append(verdict.duration_s)
                judges.add(verdict.judge)
                costs: dict[str, list[Cost]] = {cold.name: [], warm.name: []}
                for _ in range(rounds):
                    for runner in (cold, warm):
                        spent, reason = cost(runner, job)
                        assert reason == verdict.reason, (runner.name, name, reason)
                        costs[runner.name].append(spent)
                for runner_name, some in costs.items():
                    wall, cpu = columns(some)
                    medians[runner_name].append((statistics.median(wall), statistics.median(cpu)))
            figures = [1000 * statistics.median(first)]
            for kind in (0, 1):
                slow, fast = (statistics.median(pair[kind] for pair in pairs) for pairs in medians.values())
                figures += [1000 * slow, 1000 * fast, slow / fast]
            row(f"{len(first)} {title} ({', '.join(sorted(judges))} judge, sandbox {warm.sandbox})", *figures)


def throughput(seconds: float) -> None:
    """Runs a second of one and two processes, each with a runner of its own, over the correct programs."""
    table("runs a second", "1 process", "2 processes")
    for name in ("subprocess", "warm"):
        rates = []
        for number in (1, 2):
            command = [sys.executable, __file__, "--rate", name, str(seconds)]
            started = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(number)]
            rates.append(sum(int(process.communicate()[0]) for process in started) / seconds)
        row(name, *rates)


def runs_in(name: str, seconds: float) -> int:
    """How many runs a runner makes: ten of each task in a row, the first included."""
    with closing(WarmRunner("auto") if name == "warm" else SubprocessRunner()) as runner:
        chosen = cycle(job for job in jobs(CORRECT).values() for _ in range(10))
        runner.check()
        until = time.perf_counter() + seconds
        runs = 0
        while time.perf_counter() < until:
            runner.run(next(chosen))
            runs += 1
        return runs


def growth(runs: int) -> None:
    """The server's processes before and after many runs; it is not started anew in between."""
    warm_runner.RUNS_PER_SERVER = sys.maxsize
    with tempfile.TemporaryDirectory() as scratch, closing(WarmRunner("auto")) as warm:
        tempfile.tempdir = scratch
        pairs = zip(jobs(CORRECT).values(), jobs(BUGGY).values(), strict=True)
        few = [job for pair in islice(pairs, 0, None, 5) for job in pair]
        quick = [job for job in few if warm.run(job).duration_s < 1]
        table(
            "server",
            "PSS MB",
            "RSS MB",
            "processes",
            "their open files",
            "driver's open files",
            "driver's MB",
            "temporary files",
        )
        row(f"after one run of {len(quick)} programs", *state(scratch))
        for job in islice(cycle(quick), runs):
            warm.run(job)
        row(f"after {runs} more runs", *state(scratch))
        tempfile.tempdir = None


def state(scratch: str) -> list[float]:
    """What ``growth`` watches."""
    pids = children()
    own = os.getpid()
    return [
        sum(memory(pid, "smaps_rollup", "Pss:") for pid in pids),
        sum(memory(pid, "status", "VmRSS:") for pid in pids),
        len(pids),
        sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids),
        len(list(Path(f"/proc/{own}/fd").iterdir())),
        memory(own, "status", "VmRSS:"),
        len(list(Path(scratch).rglob("*"))),
    ]


def memory(pid: int, file: str, field: str) -> float:
    """A field of ``/proc``, in MB."""
    line = next(line for line in Path(f"/proc/{pid}/{file}").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def columns(costs: Sequence[Cost]) -> tuple[list[float], list[float]]:
    """Wall and CPU seconds apart."""
    return [each.wall for each in costs], [each.cpu for each in costs]


def table(*heads: str) -> None:
    """Begin a table."""
    print(f"\n| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")


def row(name: str, *figures: float) -> None:
    """One row of it."""
    print(f"| {name} | {' | '.join(f'{figure:.4g}' for figure in figures)} |", flush=True)


if __name__ == "__main__":
    main()
