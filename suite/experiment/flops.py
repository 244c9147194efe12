"""Training FLOPs of a step: as executed densely, and what they would be if pruned weights cost nothing.

Products are counted where torch executes them, below every layer and call form, and belong to the weights whose memory
they read: a transposed, cut or converted weight is still that weight. `suite.experiment.step_flops` counts a learner's
step this way without executing it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from suite.experiment.flop_formulas import FORMULAS, OPERANDS, PASSES_WEIGHTS_ON
from suite.tickets.mask import Mask

Shares = dict[str, float]
"""How much of a tensor is each parameter's, by name."""


class StepFlops:
    """FLOPs of the steps counted: `dense` all products, `per_weight` those that one weight of a tensor causes.

    Where a layer uses parts of a tensor differently (the three projections in one matrix), `per_weight` is the mean.
    """

    def __init__(self) -> None:
        self.dense = 0.0
        self.per_weight: dict[str, float] = {}

    def sparse(self, mask: Mask) -> float:
        """All products less those with pruned weights."""
        pruned = (float((~mask[name]).sum()) * each for name, each in self.per_weight.items() if name in mask)
        return self.dense - sum(pruned)


@contextmanager
def count(model: nn.Module) -> Iterator[StepFlops]:
    """Count the products executed inside, two FLOPs a multiply-add, forward and backward; no number is changed.

    A product with a weight is that weight's, and so is the product that gives its gradient: the one that meets the
    forward product's other factor again.
    """
    counter = _Counter(model)
    with counter:
        yield counter.flops


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = StepFlops()
        self._sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
        self._weights = _Weights(model)
        # Products that will give a weight's gradient, by the memory of the other factor, which must stay its own.
        self._expected: dict[tuple[int, float], list[tuple[Shares, torch.UntypedStorage]]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, packet = kwargs or {}, func._overloadpacket
        formula = FORMULAS.get(packet) or flop_registry.get(packet)
        if formula is None and func is not torch.ops.prim.device.default:
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        out = func(*args, **kwargs)
        if formula is not None:
            self._add(packet, float(formula(*args, **kwargs, out_val=out)), args)
        elif packet in PASSES_WEIGHTS_ON:
            self._weights.pass_on(args, out)
        return out

    def _add(self, packet: Any, flops: float, args: tuple[Any, ...]) -> None:
        self.flops.dense += flops
        if packet not in OPERANDS:
            return
        operands, expects_gradient = OPERANDS[packet]
        factors = [arg for arg in args[operands] if isinstance(arg, Tensor)]
        shares = self._weights.shares(factors)
        if shares:
            self._charge(shares, flops)
            if expects_gradient and torch.is_grad_enabled():
                for factor in factors:
                    if not self._weights.of(factor):
                        waiting = self._expected.setdefault((_memory(factor), flops), [])
                        waiting.append((shares, factor.untyped_storage()))
            return
        for factor in factors:
            if expected := self._expected.get((_memory(factor), flops)):
                self._charge(expected.pop()[0], flops)
                return

    def _charge(self, shares: Shares, flops: float) -> None:
        for name, share in shares.items():
            each = flops * share / self._sizes[name]
            self.flops.per_weight[name] = self.flops.per_weight.get(name, 0.0) + each


class _Weights:
    """Which parameters a tensor is made of, by its memory: views share it, and what `pass_on` is told of inherits."""

    def __init__(self, model: nn.Module) -> None:
        self._parts: dict[int, list[tuple[int, int, Shares]]] = {}
        self._held: list[torch.UntypedStorage] = []
        for name, parameter in model.named_parameters():
            first = int(parameter.storage_offset())
            self._enter(parameter, first, first + parameter.numel(), {name: 1.0})

    def _enter(self, tensor: Tensor, first: int, end: int, shares: Shares) -> None:
        self._parts.setdefault(_memory(tensor), []).append((first, end, shares))
        self._held.append(tensor.untyped_storage())  # no other tensor may get this address meanwhile

    def of(self, tensor: Tensor) -> Shares:
        """Shares of one tensor; none where it is no weight."""
        parts = self._parts.get(_memory(tensor), [])
        place = tensor.storage_offset()
        return next((shares for first, end, shares in parts if first <= place < end), {})

    def shares(self, factors: list[Tensor]) -> Shares:
        """Shares of the factors of a product, those that are no weights left out."""
        weights = [(factor.numel(), shares) for factor in factors if (shares := self.of(factor))]
        total: Shares = {}
        for size, shares in weights:
            for name, share in shares.items():
                total[name] = total.get(name, 0.0) + share * size / sum(s for s, _ in weights)
        return total

    def pass_on(self, args: tuple[Any, ...], out: Any) -> None:
        """The result of a copy, conversion, join or scaling of weights is these weights."""
        result = out[0] if isinstance(out, tuple | list) and out else out
        if not isinstance(result, Tensor) or self._parts.get(_memory(result)):
            return
        joined = bool(args) and isinstance(args[0], list | tuple)
        given = [arg for arg in (args[0] if joined else args) if isinstance(arg, Tensor) and arg.dim() > 1]
        whole = given if joined else [tensor for tensor in given if tensor.numel() == result.numel()][:1]
        shares: Shares = {}
        for tensor in whole:
            for name, share in self.of(tensor).items():
                shares[name] = shares.get(name, 0.0) + share * tensor.numel() / result.numel()
        if shares:
            self._enter(result, 0, max(1, result.untyped_storage().nbytes()), shares)


def _memory(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
