"""What masks leave of each tensor and role: the ladder that a report shows, and the tensors with nothing left."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from suite.experiment.result import CellResult
from suite.results.view import TaskView


@dataclass(frozen=True)
class Empty:
    """A prunable tensor without any weight left: in how many cells of which arms, and the densest of these."""

    tensor: str
    cells: int
    arms: tuple[str, ...]
    density: float


def ladder(view: TaskView) -> list[CellResult]:
    """Dense and winning cells, level by level, of the replicate that got furthest.

    Each has the tensors that the method prunes: the dense network's others are left out.
    """
    own: dict[int, list[CellResult]] = {replicate: [] for replicate in view.replicates}
    for cell in view.cells:
        if cell.arm in ("dense", "winning") and cell.layers and cell.replicate in own:
            own[cell.replicate].append(cell)
    chains = [sorted(cells, key=lambda cell: cell.level) for cells in own.values()]
    chain = max(chains, key=len, default=[])
    names = list(chain[-1].layers) if chain else []
    return [
        cell.model_copy(update={"layers": {name: cell.layers[name] for name in names}})
        for cell in chain
        if set(names) <= set(cell.layers)
    ]


def empty(cells: Iterable[CellResult]) -> list[Empty]:
    """The tensors that some mask empties, in the model's order.

    What such a tensor computes is its bias: a network cut there no longer hears its input, unless another path does.
    """
    found: dict[str, list[CellResult]] = {}
    for cell in cells:
        for name, layer in cell.layers.items():
            cut = found.setdefault(name, [])
            if layer.remaining == 0:
                cut.append(cell)
    return [_empty(name, cut) for name, cut in found.items() if cut]


def _empty(name: str, cells: Sequence[CellResult]) -> Empty:
    arms = tuple(dict.fromkeys(cell.arm for cell in cells))
    return Empty(name, len(cells), arms, max(cell.density for cell in cells))
