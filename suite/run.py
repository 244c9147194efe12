"""A run from end to end: plan, execute, collect, report. What the command line calls once it has chosen tasks."""

import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from suite.experiment.adopt import Finished, adopt
from suite.experiment.arithmetic import gpus
from suite.experiment.errors import RunError, UsageError
from suite.experiment.executors import Executor, InlineExecutor, LocalExecutor
from suite.experiment.executors.executor import Job
from suite.experiment.loading import references
from suite.experiment.options import RunOptions
from suite.experiment.plan import Cell, Plan
from suite.experiment.plugins import load_extensions
from suite.experiment.request import Request
from suite.experiment.runner import Outcome, asked, execute, make_plan
from suite.experiment.runtime import Runtime, cores
from suite.experiment.store import FULL, DiskFull, Store
from suite.experiment.taskfile import Task
from suite.finished import view_of
from suite.printing import count
from suite.results.report import write_report
from suite.results.view import RunView


@dataclass(frozen=True)
class Report:
    """A written report and what it shows."""

    path: Path
    view: RunView


def plans_of(tasks: Iterable[Task], plugins: Iterable[Path]) -> list[Plan]:
    """The plans of tasks, third parties' arms and criteria known."""
    load_extensions(plugins)
    return [make_plan(task) for task in tasks]


def run_tasks(
    tasks: Sequence[Task], out: Path, plugins: Sequence[Path], sources: Sequence[Path], command: str
) -> tuple[Outcome, Report]:
    """Run tasks into a folder, taking finished cells from `sources`, and write the report of all that is there.

    Raises UsageError for a device that this machine has not, a folder that cannot be written, a source without a run or
    a setting that a task's learner refuses.
    """
    plans = plans_of(tasks, plugins)
    runtime = _runtime(tasks)
    origins = [_origin(source) for source in sources]
    loaded = tuple(path.resolve() for path in plugins)
    with closing(_executor(tasks[0].options)) as executor:
        _check_learners(plans, executor, loaded, runtime)
        store = Store.create(out)
        with store.lock():
            mine = [asked(task, command, plugins) for task in tasks]
            others = [old for old in store.requests() if not any(old.same_as(new) for new in mine)]
            for source in origins:
                print(f"{count(_adopt(plans, source, store), 'cell')} taken from {source.root}", file=sys.stderr)
            store.put_requests([*others, *mine])
            outcome = _execute(plans, executor, store, loaded, runtime)
            store.put_requests([*others, *(_with_references(each, runtime) for each in mine)])
            view = view_of(out)
            return outcome, Report(write(view, out), view)


def write(view: RunView, folder: Path) -> Path:
    """Write the report into a run's folder; returns the page's path.

    Raises RunError for a full disk, and UsageError when the folder cannot be written otherwise.
    """
    try:
        return write_report(view, folder / "report")
    except OSError as error:
        if error.errno in FULL:
            raise DiskFull(folder) from error
        raise UsageError(f"cannot write the report to {folder / 'report'}: {error.strerror}") from error


def _executor(options: RunOptions) -> Executor:
    if options.executor == "inline":
        return InlineExecutor()
    runtime = options.runtime
    return LocalExecutor(options.jobs or runtime.slots(cores(), gpus(runtime)))


def _check_learners(plans: Sequence[Plan], executor: Executor, plugins: tuple[Path, ...], runtime: Runtime) -> None:
    """Build every task's learner once, in the processes that will train it; raises UsageError for what one refuses.

    What fails otherwise, such as a library that is missing or a process that dies, is left to the task's own cells,
    which meet it and say so: the other tasks go on.
    """
    waiting, running = [cell for plan in plans for cell in _heads(plan)], dict[Future[None], int]()
    free = list(range(executor.slots))
    while waiting or running:
        while waiting and free:
            slot = free.pop(0)
            job = Job((waiting.pop(0),), None, plugins, runtime)
            running[executor.submit(job, slot)] = slot
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            free.append(running.pop(future))
            error = future.exception()
            if isinstance(error, UsageError):
                raise error


def _heads(plan: Plan) -> list[Cell]:
    """The first cell of every task that a plan trains, and the first that starts from another one's ticket."""
    heads = {(cell.spec.hash, cell.start.foreign(cell.spec) is None): cell for cell in reversed(plan.cells)}
    return list(heads.values())[::-1]


def _execute(
    plans: Sequence[Plan], executor: Executor, store: Store, plugins: tuple[Path, ...], runtime: Runtime
) -> Outcome:
    from suite.progress import Bars, Lines

    if not sys.stderr.isatty():
        return execute(plans, store, executor, Lines(), plugins, runtime)
    bars = Bars()
    try:
        return execute(plans, store, executor, bars, plugins, runtime)
    finally:
        bars.close()


def _origin(path: Path) -> Finished:
    from suite.experiment.exported import ExportedRun

    return ExportedRun(path) if ExportedRun.is_one(path) else Store.open(path)


def _adopt(plans: Iterable[Plan], source: Finished, store: Store) -> int:
    plans = list(plans)
    connections = (connection for plan in plans for connection in plan.connections)
    return adopt(store, source, (cell for plan in plans for cell in plan), connections)


def _with_references(request: Request, runtime: Runtime) -> Request:
    """A request of this command line with the scores of its task's references: those of others load their code."""
    try:
        return request.model_copy(update={"references": references(request.spec, runtime)})
    except (RunError, UsageError):
        return request  # its cells could not run either, and have said why; the other tasks have their page


def _runtime(tasks: Sequence[Task]) -> Runtime:
    """Where all tasks of a run compute; raises UsageError when they differ, or this machine has no such device."""
    first = tasks[0].options.runtime
    for task in tasks:
        own = task.options.runtime
        for name, value in own:
            if value != getattr(first, name):
                raise UsageError(
                    f"{tasks[0].spec.id} has {name} = {getattr(first, name)}, {task.spec.id} {value}: "
                    f"a run has one, name it with --{name}"
                )
    check_device(first.device)
    return first


def check_device(device: str) -> None:
    """Raise UsageError for a device that is none, or that this machine has not."""
    import torch

    if device.split(":", maxsplit=1)[0] not in ("cpu", "cuda", "mps"):
        raise UsageError(f"--device {device}: cpu, cuda, cuda:1, … or mps is needed")
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"--device {device} is not usable here ({str(error).splitlines()[0][:200]}): use cpu"
        ) from error
