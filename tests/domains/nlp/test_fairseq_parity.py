"""fairseq's networks beside ours: the same sizes, scores, losses, steps and translations from the same weights.

Run with `pytest -m fairseq` where the extra `fairseq` is installed; a failed import fails.
"""

from argparse import Namespace
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from domains.nlp import fairseq_backend as backend
from domains.nlp.data import PAD, UNKNOWN
from domains.nlp.fairseq_settings import FairseqModel, FairseqTranslator, fairseq_name
from domains.nlp.learner import TranslationLearner
from domains.nlp.models import Translator
from suite.experiment.registry import Registry
from suite.tickets.enforce import enforce
from suite.tickets.mask import Mask

pytestmark = pytest.mark.fairseq

Make = Callable[..., Any]
TYPES = 32_768
TRANSFORMER, LSTM = "multi30k-transformer", "wikitext2-lstm"
EXACT = {"model__dropout": 0.0, "training__optimizer__eps": 1e-3}
"""No dropout; a gradient that is zero but for rounding does not make a step, as with Adam's usual eps it does."""


def alike(ours: Any, theirs: Any) -> tuple[Any, Any]:
    """Both learners with the weights and the batches of ours."""
    backend.take_native(theirs.model, ours.model)
    theirs._streams = ours._streams
    return ours, theirs


def translators(learner: Make, **changes: Any) -> tuple[Any, Any]:
    """Both learners; ours counts places as fairseq does."""
    changes = {**EXACT, "training__schedule__start": 1.0, **changes}
    ours = learner(TRANSFORMER, model__first_place=PAD + 1, **changes)
    return alike(ours, learner(f"{TRANSFORMER}-fairseq", **changes))


def language_models(learner: Make, tied: bool = False) -> tuple[Any, Any]:
    """Both learners; where nothing is tied, fairseq's further type has a bias by which it is ruled out."""
    own, fairseqs = ("embedding.weight", "embed_tokens.weight") if tied else ("decoder.*", "fc_out.*")
    changes = {**EXACT, "model__tied": tied}
    ours = learner(LSTM, **changes, output_layer=[own])
    theirs = learner(f"{LSTM}-fairseq", **changes, output_layer=[f"decoder.{fairseqs}"])
    return alike(ours, theirs)


Pair = Callable[[Make], tuple[Any, Any]]


@pytest.mark.parametrize(("variant", "millions"), [("base", 60.9), ("big", 209.9)])
def test_base_and_big_have_as_many_parameters_as_ours(variant: str, millions: float) -> None:
    spec = Registry().find(f"nlp/wmt14-transformer-{variant}-fairseq").at("paper").spec
    settings = FairseqTranslator.of(spec.model)
    words = backend.dictionary(map(str, range(TYPES)), PAD, UNKNOWN)
    task = backend.library().tasks.translation.TranslationTask(Namespace(eval_bleu=False), words, words)
    native = Registry().find(f"nlp/wmt14-transformer-{variant}").at("paper").spec.model
    with torch.device("meta"):
        theirs, ours = backend.built(task, settings.name, settings.arguments), Translator.of(native).build(TYPES)
        assert {name: tuple(each.shape) for name, each in theirs.named_parameters()} == settings.shapes(TYPES)
    found, expected = (sum(each.numel() for each in net.parameters()) for net in (theirs, ours))
    assert found == expected
    assert round(found / 1e6, 1) == millions


@pytest.mark.parametrize("name", ["transformer_wmt_en_de", "transformer_wmt_en_de_big", "lstm_lm"])
def test_what_a_task_does_not_say_is_as_fairseq_has_it(name: str) -> None:
    arguments, theirs = FairseqModel.of({"name": name}).arguments, Namespace()
    backend.library().models.ARCH_CONFIG_REGISTRY[name](theirs)
    assert arguments == {key: getattr(theirs, key) for key in arguments}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        (TRANSFORMER, {}),
        (TRANSFORMER, {"model__shared": False, "output_layer": ["decoder.output_projection.weight"]}),
        (LSTM, {}),
        (LSTM, {"model__tied": False, "model__embedding": 12, "output_layer": ["decoder.fc_out.*"]}),
    ],
)
def test_the_declared_parameters_are_the_networks(learner: Make, name: str, changes: Any) -> None:
    if "model__shared" in changes:
        changes["prune_output_layer"] = False
    made = learner(f"{name}-fairseq", **changes)
    types = made._text.size if name == LSTM else made._pairs.size
    shapes = FairseqModel.of(made._spec.model).shapes(types)
    assert {name: tuple(each.shape) for name, each in made.model.named_parameters()} == shapes


@pytest.mark.parametrize("before", [True, False])
def test_translators_have_the_same_scores_and_loss(learner: Make, before: bool) -> None:
    ours, theirs = translators(learner, model__normalize_before=before, training__settings__label_smoothing=0.1)
    for step in range(3):
        ((source, target),) = ours.batches(step)
        assert all(map(torch.equal, theirs.batches(step)[0], (source, target)))
        assert (source == PAD).any()
        assert (target == PAD).any()
        known = target != PAD
        torch.testing.assert_close(theirs.scores(source, target)[known], ours.scores(source, target)[known])
        torch.testing.assert_close(theirs.mean_loss(source, target), ours.mean_loss(source, target))


def test_language_models_have_the_same_scores_and_carry_the_same_state(learner: Make) -> None:
    ours, theirs = language_models(learner, tied=True)
    state: Any = None
    carried: Any = None
    for step in range(3):
        inputs, _ = ours.batch(step)
        assert torch.equal(inputs, theirs.batch(step)[0])
        scores, state = ours.scores(inputs, state)
        found, carried = theirs.scores(inputs, carried)
        torch.testing.assert_close(found[..., :-1], scores)
        torch.testing.assert_close(carried, state)


def test_language_models_have_the_same_loss_and_perplexity(learner: Make) -> None:
    ours, theirs = language_models(learner)
    for step in range(3):
        torch.testing.assert_close(theirs.loss(step), ours.loss(step))
    assert theirs.evaluate("test") == pytest.approx(ours.evaluate("test"), rel=1e-5)


@pytest.mark.parametrize("pair", [translators, language_models])
def test_a_masked_step_leaves_the_same_weights(learner: Make, pair: Pair) -> None:
    ours, theirs = pair(learner)
    for group in ours.optimizer.param_groups:  # fairseq adds eps before the bias of the second moment is corrected
        group["eps"] /= (1 - group["betas"][1]) ** 0.5
    mask = half(ours.model)
    before = {name: value.detach().clone() for name, value in ours.model.named_parameters()}
    with enforce(ours.model, ours.optimizer, mask):
        ours.advance(1)
    with enforce(theirs.model, theirs.optimizer, as_fairseqs(mask, theirs.model)):
        theirs.advance(1)
    assert ours.optimizer.param_groups[0]["lr"] > 1e-3  # the schedule does not begin near zero
    assert ours.trace()[0]["loss"] == pytest.approx(theirs.trace()[0]["loss"], rel=1e-5)
    found = dict(theirs.model.named_parameters())
    for name, value in ours.model.named_parameters():
        other = found[fairseq_name(name)][: len(value)]
        torch.testing.assert_close(other, value, rtol=1e-4, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")
        assert not torch.equal(value, before[name]) or name.endswith("bias"), name
        if name in mask:
            assert not other[~mask[name]].any()


def half(model: nn.Module) -> Mask:
    """A mask of every second weight or so of all matrices."""
    generator = torch.Generator().manual_seed(0)
    matrices = {name: each.shape for name, each in model.named_parameters() if each.dim() > 1}
    return Mask({name: torch.rand(shape, generator=generator) < 0.5 for name, shape in matrices.items()})


def as_fairseqs(mask: Mask, model: nn.Module) -> Mask:
    """The same of fairseq's network; the row for padding is kept."""
    shapes, found = {name: each.shape for name, each in model.named_parameters()}, dict[str, Tensor]()
    for name, kept in mask.items():
        found[fairseq_name(name)] = torch.ones(shapes[fairseq_name(name)], dtype=torch.bool)
        found[fairseq_name(name)][: len(kept)] = kept
    return Mask(found)


def trained(learner: Make, **settings: Any) -> tuple[TranslationLearner, Any]:
    """Both learners with the weights of ours after so many steps that translations differ."""
    long = {"training__total_steps": 200, "training__optimizer__eps": 1e-9}
    ours, theirs = translators(learner, last=200, **long, **settings)
    ours.advance(200)
    return alike(ours, theirs)


def test_a_beam_finds_the_same_translations(learner: Make) -> None:
    ours, theirs = trained(learner)
    every: dict[float, list[str]] = {}
    for penalty in (0.0, 0.6, 1.4):
        for made in (ours, theirs):
            made._settings = made._settings.model_copy(update={"beam": 4, "length_penalty": penalty})
        every[penalty] = theirs.translate("train")
        assert every[penalty] == ours.translate("train")
    assert len(set(every[0.6])) > 20
    assert len({len(text) for text in every[0.6]}) > 5
    assert every[0.0] != every[1.4]


def test_one_hypothesis_is_greedy_decoding(learner: Make) -> None:
    ours, theirs = trained(learner, training__settings__beam=0)
    found, expected = theirs.translate("train"), ours.translate("train")
    assert all(one == other for one, other in zip(found, expected, strict=True) if other)  # fairseq's is never empty
    assert sum(map(bool, expected)) > 32
