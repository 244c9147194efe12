"""What a run was asked for: `run.json`, one request a task and method, from which the run is planned without its code.

A run's folder may be a stranger's. What a plan needs of third parties' code (whose weights an arm starts from, digests
of criterion and arms) is therefore written down when the run is made, and nothing that the file names is ever loaded.
"""

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path, PurePath
from typing import Annotated, Any

from pydantic import Field, ValidationError

from suite.experiment.domain import ResultVersions
from suite.experiment.errors import RunError, UsageError
from suite.experiment.frozen import Frozen, digest
from suite.experiment.method import Method
from suite.experiment.options import Carry, RunOptions
from suite.experiment.plan import LADDER, ArmFacts, CriterionFacts, Facts, Plan
from suite.experiment.planner import plan
from suite.experiment.task import TaskSpec
from suite.experiment.taskfile import Source, Task
from suite.experiment.transfer import plan_transfer

SCHEMA = 2
"""Version of run.json; the first had no digest, and named plugins by paths that were loaded."""

_REMEDY = "move it away and run the same command again, finished cells are kept"


class NamedPlugin(Frozen):
    """A plugin file that a run was given: its name, for people, and the SHA-256 of its bytes."""

    name: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class SourceRequest(Frozen):
    """The source of a transfer as it was asked for; see `Request`, whose arms and criterion it shares.

    `covered` are the target's prunable tensors that the ticket's mask covers; a request without them is of a suite
    that did not write them, and supposes those that both tasks prune.
    """

    spec: TaskSpec
    method: Method
    code: str
    versions: ResultVersions
    carry: Carry
    covered: tuple[str, ...] = ()


class Request(Frozen):
    """A task and method as they were asked for, with all that planning them needs.

    `code`, `criterion_code` and each arm's own are digests of third parties' code, empty for the suite's; the criterion
    is `handed` weights of the rewind step or of other steps; `versions` are those of the code that was to run the task;
    `references` are the test scores of simple models on the task's data, None until the run has taken them.
    """

    spec: TaskSpec
    method: Method
    options: RunOptions
    code: str
    criterion_code: str
    handed_rewound: bool = False
    handed_steps: tuple[int, ...] = ()
    versions: ResultVersions = Field(default_factory=ResultVersions)
    arms: dict[str, ArmFacts]
    source: SourceRequest | None = None
    command: str
    plugins: tuple[NamedPlugin, ...] = ()
    references: dict[str, dict[str, float]] | None = None

    @property
    def task(self) -> Task:
        """The task, as its file or plugin gave it."""
        task = Task(self.spec, self.method, self.options, self.code)
        if self.source is None:
            return task
        finder = Task(self.source.spec, self.source.method, self.options, self.source.code)
        return replace(task, source=Source(finder, self.source.carry, self.source.covered))

    @property
    def plan(self) -> Plan:
        """The cells of the run."""
        criterion = CriterionFacts(self.criterion_code, self.handed_rewound, self.handed_steps)
        facts = Facts(self.arms, criterion, self.versions)
        if self.source is None:
            return plan(self.task, facts)
        return plan_transfer(self.task, facts, replace(facts, versions=self.source.versions))

    @property
    def third_party(self) -> str:
        """Digests of all third parties' code in the run, each once: its task's, its criterion's, its arms'."""
        codes = (self.code, *(() if self.source is None else (self.source.code,)))
        own = (*codes, self.criterion_code, *(self.arms[arm].code for arm in self.options.arms))
        return " ".join(dict.fromkeys(found for found in own if found))

    def same_as(self, other: "Request") -> bool:
        """Whether both ask for one task by one method, with tickets from one source."""
        return self.task.identity == other.task.identity


def request_of(
    task: Task, facts: Facts, command: str, plugins: Iterable[Path], source_facts: Facts | None = None
) -> Request:
    """The request of a task, or of a transfer to it; of the arms that `facts` know it keeps those it needs."""
    source = None
    if task.source is not None and source_facts is not None:
        own = task.source.task
        source = SourceRequest(
            spec=own.spec, method=own.method, code=own.code, versions=source_facts.versions, carry=task.source.carry,
            covered=task.source.covered,
        )  # fmt: skip
    needed = dict.fromkeys((LADDER, *task.options.arms))
    return Request(
        spec=task.spec,
        method=task.method,
        options=task.options.model_copy(update={"data": None}),  # a path of this machine: a run may go on elsewhere
        code=task.code,
        criterion_code=facts.criterion.code,
        handed_rewound=facts.criterion.rewound,
        handed_steps=facts.criterion.steps,
        versions=facts.versions,
        arms={arm: facts.arms[arm] for arm in needed},
        source=source,
        command=command,
        plugins=tuple(NamedPlugin(name=path.name, sha256=sha256(path.read_bytes()).hexdigest()) for path in plugins),
    )


def to_bytes(requests: Iterable[Request]) -> bytes:
    """The content of `run.json`, with a digest over all of it."""
    return written([request.model_dump(mode="json") for request in requests])


def written(tables: Sequence[object]) -> bytes:
    """The file's content for requests as JSON."""
    content = {"schema": SCHEMA, "sha256": digest([SCHEMA, tables]), "requests": tables}
    return json.dumps(content, indent=1, allow_nan=False).encode()


def from_bytes(content: bytes, path: Path) -> list[Request]:
    """The requests in a `run.json`; raises RunError for anything but what was written there, to the last bit."""
    tables = _tables(content, path)
    try:
        return [Request.model_validate(each) for each in tables]
    except ValidationError as error:
        reason = " ".join(str(error).splitlines()[:3])
        raise RunError(f"{path} is of another version ({reason}): run again with another --out") from error


def portable(content: bytes, path: Path) -> bytes:
    """A `run.json` to leave this machine: of absolute paths in its commands the last part alone is kept.

    Raises RunError as `from_bytes`, but reads requests of every version.
    """
    try:
        return written([each | {"command": _without_folders(each.get("command"))} for each in _tables(content, path)])
    except ValueError as error:
        raise RunError(f"{path} is corrupted ({error}): {_REMEDY}") from error


def _tables(content: bytes, path: Path) -> list[dict[str, Any]]:
    """Requests as JSON."""
    try:
        table = json.loads(content)
        schema, tables = table["schema"], table["requests"]
        if schema != SCHEMA:
            raise RunError(f"{path} has schema {schema!r}, this suite reads {SCHEMA}: {_REMEDY}")
        if content != written(tables):
            raise ValueError("its content does not have the digest it states")
        return list(tables)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError(f"{path} is corrupted ({str(error) or type(error).__name__}): {_REMEDY}") from error


def _without_folders(command: object) -> str:
    if not isinstance(command, str):
        raise ValueError("a request without its command")

    def short(word: str) -> str:
        if PurePath(word).is_absolute():
            return PurePath(word).name
        option, equals, value = word.partition("=")
        return option + equals + short(value) if equals else word

    return shlex.join(map(short, shlex.split(command)))


def needed(request: Request, plugins: Sequence[Path]) -> list[Path]:
    """The plugins on a command line that a request was made with and whose code takes part in it.

    Raises UsageError when one is missing, or has been edited since.
    """
    given = {sha256(path.read_bytes()).hexdigest(): path for path in plugins if path.is_file()}
    wanted = [each for each in request.plugins if each.sha256 in request.third_party.split()]
    for each in wanted:
        if each.sha256 not in given:
            edited = any(path.name == each.name for path in plugins)
            what = "has been edited since the run" if edited else "is needed"
            raise UsageError(
                f"plugin {each.name} (SHA-256 {each.sha256[:12]}…) {what}: name the run's own with --plugin"
            )
    return [given[each.sha256] for each in wanted]
