"""Masks stay exact inside a fairseq Transformer, in training and on the path it takes in evaluation.

Run with `pytest -m fairseq tests/seams/test_fairseq.py` where the extra `fairseq` is installed; a failed import fails.
"""

import copy
import importlib
from argparse import Namespace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam

from suite.experiment import snapshot
from suite.tickets.enforce import enforce
from suite.tickets.mask import Mask

pytestmark = pytest.mark.fairseq

WORDS, WIDTH, HEADS, CLIP = 20, 32, 4, 0.5
MASKED = ("q_proj.weight", "k_proj.weight", "v_proj.weight", "out_proj.weight", "fc1.weight", "fc2.weight")


@pytest.fixture(scope="module")
def fairseq() -> Any:
    """The package, imported when the first test runs: it takes seconds."""
    return importlib.import_module("fairseq")


@pytest.fixture
def net(fairseq: Any) -> nn.Module:
    """Two layers each side, one embedding shared by source, target and output."""
    models, data = importlib.import_module("fairseq.models"), importlib.import_module("fairseq.data")
    args = Namespace(arch="transformer", dropout=0.0, share_all_embeddings=True)
    for side in ("encoder", "decoder"):
        setattr(args, f"{side}_layers", 2)
        setattr(args, f"{side}_embed_dim", WIDTH)
        setattr(args, f"{side}_ffn_embed_dim", 2 * WIDTH)
        setattr(args, f"{side}_attention_heads", HEADS)
    models.ARCH_CONFIG_REGISTRY["transformer"](args)
    words = data.Dictionary()
    for index in range(WORDS):
        words.add_symbol(f"w{index}")
    torch.manual_seed(0)
    task = SimpleNamespace(source_dictionary=words, target_dictionary=words)
    model: nn.Module = models.ARCH_MODEL_REGISTRY["transformer"].build_model(args, task)
    return model


def _mask(net: nn.Module) -> Mask:
    dense = Mask.dense(net, [name for name, _ in net.named_parameters() if name.endswith(MASKED)])
    generator = torch.Generator().manual_seed(0)
    return Mask({name: torch.rand(tensor.shape, generator=generator) < 0.3 for name, tensor in dense.items()})


def _batch(step: int) -> tuple[Tensor, Tensor]:
    """Copying: the target is the source."""
    generator = torch.Generator().manual_seed(step)
    source = torch.randint(4, 4 + WORDS, (8, 6), generator=generator)
    return source, torch.cat([torch.full((8, 1), 2), source], 1)


def _logits(net: nn.Module, step: int) -> Tensor:
    source, target = _batch(step)
    logits: Tensor = net(source, torch.full((8,), 6), target[:, :-1])[0]
    return logits


def _train(net: nn.Module, optimizer: Adam, steps: range) -> list[float]:
    losses = []
    net.train()
    for step in steps:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(_logits(net, step).flatten(0, 1), _batch(step)[1][:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), CLIP)
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_the_version_is_the_one_that_works(fairseq: Any) -> None:
    """0.12.2 has never-trained duplicates of its encoder's attention weights and an eval path that reads them."""
    assert fairseq.__version__ == "0.12.3"


def test_attention_has_separate_weights_under_the_names_the_mask_uses(net: nn.Module) -> None:
    names = [name for name, _ in net.named_parameters()]
    assert not [name for name in names if "in_proj_weight" in name]
    attentions = 2 + 2 * 2  # encoder self; decoder self and cross
    assert len(_mask(net)) == attentions * 4 + 4 * 2
    assert "encoder.layers.0.self_attn.q_proj.weight" in names


def test_pruned_weights_gradients_and_moments_are_zero_after_every_clipped_step(net: nn.Module) -> None:
    mask, optimizer = _mask(net), Adam(net.parameters(), lr=3e-3, betas=(0.9, 0.98))
    before = {name: net.get_parameter(name).detach().clone() for name in mask}
    with enforce(net, optimizer, mask):
        losses = []
        for step in range(30):
            losses += _train(net, optimizer, range(step, step + 1))
            for name, kept in mask.items():
                parameter = net.get_parameter(name)
                state = optimizer.state[parameter]
                for tensor in (parameter.detach(), parameter.grad, state["exp_avg"], state["exp_avg_sq"]):
                    assert not tensor[~kept].any(), (step, name)
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])  # it learns
    for name, kept in mask.items():
        assert (net.get_parameter(name).detach() != before[name])[kept].float().mean() > 0.9, name


def test_gradient_clipping_sees_the_survivors_only(net: nn.Module) -> None:
    mask, optimizer = _mask(net), Adam(net.parameters())
    mask.apply(net)
    plain = copy.deepcopy(net)
    with enforce(net, optimizer, mask):
        for model in (plain, net):
            _logits(model, 0).square().mean().backward()
        everything = nn.utils.clip_grad_norm_(plain.parameters(), 1e9)
        seen = nn.utils.clip_grad_norm_(net.parameters(), 1e9)
    parts = [p.grad[mask[n]] if n in mask else p.grad.flatten() for n, p in plain.named_parameters()]  # type: ignore[index,union-attr]
    torch.testing.assert_close(seen, torch.cat(parts).norm())
    assert seen < 0.99 * everything


def test_evaluation_computes_with_the_masked_weights(net: nn.Module) -> None:
    """An evaluation path that keeps its own copy of the weights gives the logits of the dense net."""
    mask, optimizer = _mask(net), Adam(net.parameters(), lr=1e-3)
    net.eval()
    with torch.no_grad():
        dense = _logits(net, 0)
        with enforce(net, optimizer, mask):
            net.train()
            trained = _logits(net, 0)
            net.eval()
            evaluated = _logits(net, 0)
    torch.testing.assert_close(evaluated, trained, rtol=1e-5, atol=1e-5)
    assert (evaluated - dense).abs().max() > 0.1


def test_evaluation_does_not_depend_on_what_stood_at_pruned_positions(net: nn.Module) -> None:
    mask = _mask(net)
    mask.apply(net)
    other = copy.deepcopy(net)
    with torch.no_grad():
        for name, kept in mask.items():
            other.get_parameter(name)[~kept] = 7.0
        net.eval()
        other.eval()
        assert not torch.allclose(_logits(net, 0), _logits(other, 0), atol=0.1)
        with enforce(other, Adam(other.parameters()), mask):
            assert torch.equal(_logits(net, 0), _logits(other, 0))


def test_incremental_decoding_sees_masked_weights(net: nn.Module) -> None:
    """Beam search decodes word by word through a third path of the attention: its logits are those of the whole."""
    mask = _mask(net)
    source, target = _batch(0)
    with enforce(net, Adam(net.parameters()), mask), torch.no_grad():
        net.eval()
        whole = _logits(net, 0)
        encoded = net.encoder(source, torch.full((8,), 6))  # type: ignore[operator]
        state: dict[str, Any] = {}
        steps = [
            net.decoder(target[:, : i + 1], encoder_out=encoded, incremental_state=state)[0]  # type: ignore[operator]
            for i in range(6)
        ]
    torch.testing.assert_close(torch.cat(steps, 1), whole, rtol=1e-4, atol=1e-5)


def test_a_masked_run_goes_on_from_its_snapshot(net: nn.Module) -> None:
    mask, optimizer = _mask(net), Adam(net.parameters(), lr=1e-3)
    other = copy.deepcopy(net)
    with enforce(net, optimizer, mask):
        _train(net, optimizer, range(3))
        kept = snapshot.take(net, optimizer, {})
        expected = _train(net, optimizer, range(3, 6))
    resumed = Adam(other.parameters(), lr=1e-3)
    snapshot.put(kept, other, resumed)
    with enforce(other, resumed, mask):
        assert _train(other, resumed, range(3, 6)) == expected
