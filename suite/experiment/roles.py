"""What a model's tensors are for, such as actor and critic: a method may confine its pruning to one of these roles."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from suite.experiment.errors import UsageError
from suite.experiment.explain import nearest
from suite.experiment.method import ALL, Method
from suite.experiment.task import TaskSpec


def tensors_of(spec: TaskSpec, role: str) -> tuple[str, ...]:
    """The prunable tensors of a role, in the task's order; raises UsageError for a role that the task does not have."""
    if role not in spec.roles:
        near = nearest(role, spec.roles)
        known = ", ".join((ALL, *spec.roles))
        raise UsageError(f"role = {role!r}{near}: {spec.id} has {known}")
    return tuple(name for name in spec.prunable if any(fnmatchcase(name, sign) for sign in spec.roles[role]))


def pruned_by(spec: TaskSpec, method: Method) -> tuple[str, ...]:
    """The tensors that a method prunes, in the task's order: its masks have these and no others.

    Raises UsageError for a role that the task does not have, and for one with none or all of its prunable tensors.
    """
    if method.role == ALL:
        return spec.prunable
    names = tensors_of(spec, method.role)
    if not names:
        raise UsageError(f"role = {method.role!r}: {spec.id} has no prunable tensor of it; take another, or {ALL}")
    if names == spec.prunable:
        raise UsageError(f"role = {method.role!r}: all that {spec.id} prunes at {spec.scale} is of it; take {ALL}")
    return names


def sizes(spec: TaskSpec, remaining: Mapping[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Survivors and weights of every role, from those of every prunable tensor."""
    found = {}
    for role in spec.roles:
        own = [remaining[name] for name in tensors_of(spec, role)]
        if own:
            found[role] = (sum(kept for kept, _ in own), sum(size for _, size in own))
    return found
