"""Criteria: one small function each, (model, probes) -> name -> score of each weight. Low score is pruned.

A criterion returns scores for every parameter; selection reads the prunable ones. Random numbers come from torch's
default generator, which the caller has seeded. One that needs weights of the dense run declares them, and is handed
them by keyword. A third party adds a criterion by name through the entry-point group `lottery.scores` or `register`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor, nn

from suite.tickets.mask import TicketError
from suite.tickets.select import Scope

Scores = dict[str, Tensor]
Weights = Mapping[str, Tensor]
Need = Literal["initial", "rewound", "snapshots"]
"""Weights of the replicate's dense run: at step 0, at the rewind step, or (by step) at the criterion's own steps."""


class Probe(Protocol):
    """A fixed batch and the model's behaviour on it, free of side effects."""

    def loss(self) -> Tensor:
        """Mean training loss on the batch."""

    def flow(self) -> Tensor:
        """Sum of the outputs for an all-ones input."""


ScoreFunction = Callable[..., Scores]
"""(model, probes, one keyword for each of its needs) -> scores."""


@dataclass(frozen=True)
class Criterion:
    """A named score function; `needs_probes` says whether it differentiates on batches.

    `needs` name the weights that it is handed by keyword: `initial` and `rewound` by parameter or buffer, `snapshots`
    the same for each of `snapshot_steps` (0 to the run's last). `scopes` are those in which its scores mean something.
    """

    name: str
    score: ScoreFunction
    needs_probes: bool
    needs: tuple[Need, ...] = ()
    snapshot_steps: tuple[int, ...] = ()
    scopes: tuple[Scope, ...] = get_args(Scope)

    @property
    def steps(self) -> tuple[int, ...]:
        """Steps of the dense run whose weights it needs whatever the method: 0 for the initial ones, and its own."""
        return tuple(sorted({*((0,) if "initial" in self.needs else ()), *self.snapshot_steps}))


CRITERIA: dict[str, Criterion] = {}


def register(
    name: str, needs_probes: bool = False, *, needs: Sequence[Need] = (), snapshot_steps: Sequence[int] = (),
    scopes: Sequence[Scope] = get_args(Scope),
) -> Callable[[ScoreFunction], ScoreFunction]:  # fmt: skip
    """Decorator that adds a criterion under a name; see `Criterion` for what it may need.

    Raises TicketError when the name is taken by another function, for a need that there is not, and for snapshots
    without steps or steps without snapshots.
    """
    unknown = [need for need in needs if need not in get_args(Need)]
    if unknown:
        raise TicketError(f"criterion {name!r} needs {unknown[0]!r}: one of {', '.join(get_args(Need))}")
    if ("snapshots" in needs) != bool(snapshot_steps):
        raise TicketError(f"criterion {name!r}: needs=('snapshots',) and snapshot_steps=(step, …) go together")

    def add(score: ScoreFunction) -> ScoreFunction:
        known = CRITERIA.get(name)
        if known is not None and _origin(known.score) != _origin(score):
            raise TicketError(f"criterion {name!r} is registered already, choose another name")
        CRITERIA[name] = Criterion(name, score, needs_probes, tuple(needs), tuple(snapshot_steps), tuple(scopes))
        return score

    return add


def _origin(function: ScoreFunction) -> tuple[str, str]:
    return function.__module__, function.__qualname__


@register("magnitude")
def magnitude(model: nn.Module, probes: Sequence[Probe]) -> Scores:
    """|w| at the end of training (Han et al. 2015; Frankle and Carbin 2019)."""
    return {name: weight.detach().abs() for name, weight in model.named_parameters()}


@register("signed-magnitude")
def signed_magnitude(model: nn.Module, probes: Sequence[Probe]) -> Scores:
    """w: keeps the largest positive weights, prunes the most negative first (Zhou et al. 2019, section 3).

    Raises TicketError for complex weights, which have no sign.
    """
    _refuse_complex("signed-magnitude", model)
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


@register("random")
def random(model: nn.Module, probes: Sequence[Probe]) -> Scores:
    """Uniform in [0, 1): the baseline that every criterion has to beat."""
    return {name: torch.rand(weight.shape) for name, weight in model.named_parameters()}


@register("magnitude-increase", needs=("initial",))
def magnitude_increase(model: nn.Module, probes: Sequence[Probe], *, initial: Weights) -> Scores:
    """|w| - |w at step 0|: keeps the weights that training has enlarged most (Zhou et al. 2019, section 2)."""
    return {
        name: weight.detach().abs() - initial[name].to(weight.device).abs() for name, weight in model.named_parameters()
    }


@register("random-erk", scopes=("global",))
def random_erk(model: nn.Module, probes: Sequence[Probe]) -> Scores:
    """Random, with the layer densities of the Erdos-Renyi kernel: sum of the shape's sizes / their product.

    Evci et al. 2020, section 3, make the densities proportional to that (at most 1). With u uniform in (0, 1] a score
    of kernel / u exceeds a threshold with just that probability, so one global threshold gives them all. Densities are
    so when a dense network is pruned at once; further prunings of the survivors draw anew.
    """
    shapes = {name: weight.shape for name, weight in model.named_parameters()}
    return {name: sum(shape) / prod(shape) / (1 - torch.rand(shape)) for name, shape in shapes.items()}


@register("snip", needs_probes=True)
def snip(model: nn.Module, probes: Sequence[Probe]) -> Scores:
    """|w dL/dw|, the connection sensitivity on the probes' batches (Lee et al. 2019, equation 6, unnormalised).

    A frozen weight is scored as if it were trained.
    """
    with _differentiable(model) as named:
        gradients = _mean_gradients(named, probes)
    return _products(model, gradients, absolute=True)


@register("grasp", needs_probes=True)
def grasp(model: nn.Module, probes: Sequence[Probe]) -> Scores:
    """w (H g): weights whose removal would lower the gradient norm are kept (Wang et al. 2020, equation 8, T = 1).

    The paper removes the largest -w H g, so low w H g is pruned here. g is the gradient over all probes, H their mean
    Hessian; the product is exact (two backward passes a probe). Frozen weights do not move, so g is that of the others.
    """
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    with _differentiable(model) as named:
        mean = _mean_gradients(named, probes)
        product = {name: torch.zeros_like(weight) for name, weight in named.items()}
        for probe in probes:
            first = _gradients(probe.loss(), named, create_graph=True)
            along = torch.stack([_inner(first[name], mean[name]).sum() for name in trained]).sum()
            for name, second in _gradients(along, named).items():
                product[name] += second / len(probes)
    return _products(model, product)


@register("synflow", needs_probes=True)
def synflow(model: nn.Module, probes: Sequence[Probe]) -> Scores:
    """|w dR/dw| with R the output sum of the network of absolute weights (Tanaka et al. 2020, equation 2).

    Scored in float64, where the product over many layers neither overflows nor vanishes. Prune in 100 rounds. Raises
    TicketError for complex weights, on whose absolute values a network need not be defined.
    """
    _refuse_complex("synflow", model)
    kept = {name: (tensor, tensor.data) for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    named = dict(model.named_parameters())
    try:
        with torch.no_grad():
            for name, (tensor, values) in kept.items():
                dtype = torch.float64 if values.is_floating_point() else values.dtype
                tensor.data = (values.abs() if name in named else values).to(dtype, copy=True)
        with _differentiable(model) as differentiable:
            gradients = _gradients(probes[0].flow(), differentiable)
        return _products(model, gradients, absolute=True)
    finally:
        for tensor, values in kept.values():
            tensor.data = values


@contextmanager
def _differentiable(model: nn.Module) -> Iterator[dict[str, nn.Parameter]]:
    """Context in which all weights have gradients, dense ones: frozen weights and sparse embeddings too."""
    weights = {n: weight for n, weight in model.named_parameters() if weight.is_floating_point() or weight.is_complex()}
    frozen = [weight for weight in weights.values() if not weight.requires_grad]
    sparse = [layer for layer in model.modules() if isinstance(layer, nn.Embedding | nn.EmbeddingBag) and layer.sparse]
    try:
        for weight in frozen:
            weight.requires_grad_(True)
        for layer in sparse:
            layer.sparse = False
        yield weights
    finally:
        for weight in frozen:
            weight.requires_grad_(False)
        for layer in sparse:
            layer.sparse = True


def _gradients(value: Tensor, named: dict[str, nn.Parameter], create_graph: bool = False) -> Scores:
    found = torch.autograd.grad(value, list(named.values()), create_graph=create_graph, materialize_grads=True)
    dense = [gradient.to_dense() if gradient.is_sparse else gradient for gradient in found]
    return dict(zip(named, dense, strict=True))


def _mean_gradients(named: dict[str, nn.Parameter], probes: Sequence[Probe]) -> Scores:
    mean = {name: torch.zeros_like(weight) for name, weight in named.items()}
    for probe in probes:
        for name, gradient in _gradients(probe.loss(), named).items():
            mean[name] += gradient / len(probes)
    return mean


def _products(model: nn.Module, factors: Scores, absolute: bool = False) -> Scores:
    """Each weight times its factor; zero where there is none, as for whole numbers."""
    found = {
        name: _inner(weight.detach(), factors[name]) if name in factors else torch.zeros(weight.shape)
        for name, weight in model.named_parameters()
    }
    return {name: product.abs() for name, product in found.items()} if absolute else found


def _inner(one: Tensor, other: Tensor) -> Tensor:
    """Products; of complex numbers, taken as pairs, the inner product."""
    return (one.conj() * other).real if one.is_complex() else one * other


def _refuse_complex(criterion: str, model: nn.Module) -> None:
    for name, weight in model.named_parameters():
        if weight.is_complex():
            raise TicketError(f"criterion {criterion!r} cannot score {name!r}: its weights are complex")
