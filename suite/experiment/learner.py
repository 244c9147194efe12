"""The contract between the core and a domain: what a learner does.

The core never sees a batch, an environment or a sentence; a learner never sees a mask, an arm or a level.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.task import TaskSpec

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import Tensor, nn

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Span:
    """The steps of one training run: `first` inclusive to `last` exclusive.

    Step s uses the data and dropout of step s, and the learning rate of step s - `shift` of the schedule (0 when the
    schedule goes on from the rewind step, `first` when it starts again); `held`: that of the last step throughout.
    """

    first: int
    last: int
    shift: int = 0
    held: bool = False

    def schedule_step(self, step: int) -> int:
        """The step of the schedule whose learning rate a step of the run uses."""
        return self.last - 1 if self.held else step - self.shift


@dataclass(frozen=True)
class Snapshot:
    """State of a learner between two steps: tensors under dense names, and a JSON object."""

    tensors: dict[str, "Tensor"]
    meta: dict[str, Any]


class Probe(Protocol):
    """A fixed batch and the model's behaviour on it, free of side effects (no buffer, no stream is altered)."""

    def loss(self) -> "Tensor":
        """Mean training loss on the batch (scalar, differentiable), dropout off."""

    def flow(self) -> "Tensor":
        """Sum of the outputs for an all-ones input of the batch's shape; token models keep the batch's tokens."""


@runtime_checkable
class Learner(Protocol):
    """One training run in progress. A class of this shape is all a new domain needs.

    The constructor takes `(spec, streams, span, runtime)`, draws the initial weights from `streams.seed("init")` and
    stands at `span.first`, with a fresh optimizer. After the core has put other weights in `model`, data, dropout and
    learning rate go on from `span.first`. Copies of the weights that the constructor makes (a running mean, a target
    network) are found by their values and follow the weights before the first step; see `Copying` and
    `suite.experiment.copies`. torch's, numpy's and Python's global random numbers are seeded around every call.

    So that a plan refuses what a run would, a learner class may say more of itself, all of it optional: `components`,
    the readers of a task's tables (`suite.experiment.component.Components`); `parameter_shapes(spec)`, a classmethod
    that gives the shapes of the model's parameters by name, without data; and `check_spec(spec)`, a classmethod that
    raises UsageError for settings that do not go together. `stand_in(spec, runtime)`, a classmethod too, is the learner
    on made-up data of the task's sizes, so that a step can be timed where the data are not, at any `training.batch`.
    """

    model: "nn.Module"
    optimizer: "torch.optim.Optimizer"

    @property
    def step(self) -> int:
        """Next step to be taken."""

    @property
    def total_steps(self) -> int:
        """`span.last`."""

    def parameters(self) -> "Iterable[nn.Parameter]":
        """What the optimizer trains, read anew each step; gradient clipping goes over it."""

    def advance(self, until: int) -> None:
        """Train up to step `until`, exclusive. Raises `Diverged` when the loss is not finite."""

    def evaluate(self, split: Split) -> Mapping[str, float]:
        """Scores on a split, the task's metric among them; alters no stream and no buffer."""

    def trace(self) -> Sequence[Mapping[str, float]]:
        """Metrics seen in training, each with its `step`; at most a hundred or so points."""

    def recalibrate(self, n: int) -> None:
        """Recompute batch-norm statistics on `n` training batches; does nothing for a model without them."""

    def snapshot(self) -> Snapshot:
        """All that is needed to go on, bit for bit."""

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of an equally constructed learner."""


@runtime_checkable
class Probed(Protocol):
    """A learner with fixed batches to differentiate on: SNIP, GraSP, SynFlow, Hessian and interpolation need it."""

    def probes(self, n: int) -> Sequence[Probe]:
        """`n` probes, the same ones at every call."""


@runtime_checkable
class Noted(Protocol):
    """A learner whose scores need a word on how they are taken, such as the signature of a BLEU."""

    def notes(self) -> Mapping[str, str]:
        """Notes by name; they stand in the result of every cell."""


@runtime_checkable
class Copying(Protocol):
    """A learner that takes care itself of what it copied from its weights, which are not looked for then."""

    def weights_replaced(self) -> None:
        """Copy again: called once before the first step, when the ticket's weights are in `model` and masked."""


@dataclass(frozen=True)
class Film:
    """An episode to be looked at: pictures (height, width, 3) of uint8, how many a second, the score when it ended.

    `whole`: it went on to its end; else the score is that of what is seen.
    """

    pictures: Sequence["NDArray[Any]"]
    per_second: float
    score: float
    whole: bool


@runtime_checkable
class Playing(Protocol):
    """A learner whose model acts in an environment that can be drawn."""

    def play(self, split: Split, most: int) -> Film:
        """One episode with the present weights, of at most `most` pictures; alters no stream and no buffer."""


class Peer(Protocol):
    """The same training by another library, for `lottery bench peer`."""

    name: str

    def advance(self, steps: int) -> None:
        """Take so many optimizer updates."""


@runtime_checkable
class ScoringPeer(Peer, Protocol):
    """A peer that can score a split too."""

    def evaluate(self, split: Split) -> Mapping[str, float]:
        """Scores on a split with the present weights of the learner whose peer it is."""


@runtime_checkable
class Peered(Protocol):
    """A learner that has peers to be timed beside, for `lottery bench peer`."""

    def peers(self) -> Sequence[Peer]:
        """The same training by other libraries, on the same batches and from the present weights where it can be."""


@runtime_checkable
class Counting(Protocol):
    """A learner whose work is counted in tokens."""

    def tokens(self, first: int, last: int) -> int:
        """Tokens that are predicted in steps `first` inclusive to `last` exclusive."""


Build = Callable[[TaskSpec, Streams, Span, Runtime], Learner]
"""(spec, streams, span, runtime) -> learner: a learner class, or a function that returns one."""


@runtime_checkable
class Cohort(Protocol):
    """A fixed list of training runs of one task and span in one program: slot i is one cell.

    The constructor takes `(spec, streams of each slot, span, runtime)`. `model` has the names of the single learner's
    model, every parameter and buffer with a leading slot dimension, so the core loads, masks and enforces slots as it
    does one model. Each slot owns its random streams and its gradient clipping; no slot's numbers depend on another's
    weights.
    """

    model: "nn.Module"
    optimizer: "torch.optim.Optimizer"

    @property
    def step(self) -> int:
        """Next step to be taken, the same for all slots."""

    @property
    def total_steps(self) -> int:
        """`span.last`."""

    def advance(self, until: int) -> None:
        """Train every slot up to step `until`, exclusive; a slot that diverges does not stop the others."""

    def diverged(self) -> Sequence[bool]:
        """Which slots have met a loss or weight that is not finite."""

    def evaluate(self, split: Split) -> Sequence[Mapping[str, float]]:
        """Scores of each slot on a split; alters no stream and no buffer."""

    def traces(self) -> Sequence[Sequence[Mapping[str, float]]]:
        """`Learner.trace` of each slot."""

    def snapshot(self) -> Snapshot:
        """All that is needed to go on, bit for bit."""

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of an equally constructed cohort."""


@runtime_checkable
class Outliving(Protocol):
    """A cohort that outlives what befalls one slot alone, such as an environment that crashes: the others go on."""

    def failures(self) -> Mapping[int, Exception]:
        """What has befallen slots, by their number: they have no scores, whatever `evaluate` says."""


BuildCohort = Callable[[TaskSpec, Sequence[Streams], Span, Runtime], Cohort]
"""(spec, streams of each slot, span, runtime) -> cohort."""


References = Callable[[TaskSpec, Runtime], Mapping[str, Mapping[str, float]]]
"""(spec, runtime) -> test scores of simple models on the same data, by name (as `trigram`), shown with the dense."""
