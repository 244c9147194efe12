"""The language tasks through fairseq: its task, dictionary, models, criterion, optimizer and sequence generator.

The one module that imports fairseq, and not before a learner is built or a binary is read, since that takes seconds.
Batches, streams, schedules, averaging and scores are those of the native learners, from which these derive.
"""

import logging
import threading
import warnings
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import torch
from packaging.version import Version
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from domains.nlp.data import EOS, PAD, SPECIAL, UNKNOWN
from domains.nlp.fairseq_settings import FairseqLanguageModel, FairseqOptimizer, FairseqTranslator, fairseq_name
from domains.nlp.learner import LanguageModelLearner, TranslationLearner
from domains.nlp.models.lstm import State
from domains.nlp.models.transformer import check_finite
from suite.experiment.errors import RunError
from suite.experiment.learner import Peer, Split
from suite.experiment.randomness import own_random
from suite.experiment.supervised import BatchProbe, SupervisedLearner, evaluating
from suite.experiment.task import TaskSpec

SOUND: Final = Version("0.12.3")
"""The first release without copies of the encoder's attention that are never trained and that evaluation reads."""
INSTALL: Final = "pip install 'lottery-suite[nlp,fairseq]'"
POSITIONS: Final = 1024
"""Places of a sentence that fairseq allows unless told otherwise."""
NEVER: Final = -1e4
"""Score of the type that stands for padding: its probability is 0 in single precision."""


@cache
def library() -> Any:
    """The package fairseq; no random number is lost by its import, and logging stays as it was.

    Raises ModuleNotFoundError where it is not installed, and RunError for the distribution `fairseq` of PyPI.
    """
    _refuse_unsound()
    with own_random(torch.device("cpu")), _quiet():
        found = import_module("fairseq")
    found.pdb._stdin_lock = threading.Lock()  # its lock of processes would be told of as leaked when a worker ends
    warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask")  # fairseq gives both kinds to torch
    return found


def _refuse_unsound() -> None:
    try:
        found = version("fairseq")  # the sound one is called ve-fairseq, and is imported by the same name
    except PackageNotFoundError:
        return
    if Version(found) < SOUND:
        raise RunError(
            f"the distribution fairseq {found} is installed, which does not import on Python 3.11 and evaluates with "
            f"weights that no mask reaches: pip uninstall fairseq, then {INSTALL}"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """fairseq sets up logging, so that every library would be heard, and warns of what it imports."""
    root = logging.getLogger()
    handlers, level, disabled = list(root.handlers), root.level, root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        root.handlers[:] = handlers
        root.setLevel(level)


def dictionary(symbols: Iterable[str], pad: int, unknown: int) -> Any:
    """fairseq's dictionary of our ids; one made as usual would begin with `<s>`, which we have not."""
    made = library().data.Dictionary(add_special_symbols=False)
    for symbol in symbols:
        made.add_symbol(symbol)
    made.bos_index = made.eos_index = EOS
    made.pad_index, made.unk_index, made.nspecial = pad, unknown, len(SPECIAL)
    return made


def built(task: Any, arch: str, arguments: dict[str, Any]) -> nn.Module:
    """fairseq's model of an architecture, through a task of fairseq's.

    Raises RunError for an encoder with a second copy of its attention's weights.
    """
    model: nn.Module = task.build_model(Namespace(arch=arch, **arguments))
    copies = [name for name, _ in model.named_parameters() if name.endswith("in_proj_weight")]
    if copies:
        raise RunError(f"this fairseq keeps attention weights twice ({copies[0]}), so no mask holds: {INSTALL}")
    _name_once(model)
    return model


def _name_once(model: nn.Module) -> None:
    """Let a parameter that is shared stand in a state dictionary under its first name alone, as a mask has it."""
    first = {id(parameter): name for name, parameter in model.named_parameters()}
    everywhere = model.named_parameters(remove_duplicate=False)
    further = {name: first[id(parameter)] for name, parameter in everywhere if first[id(parameter)] != name}

    def leave_out(_: nn.Module, state: dict[str, Any], prefix: str, *__: object) -> None:
        for name in further:
            state.pop(prefix + name, None)

    def put_in(_: nn.Module, state: dict[str, Any], prefix: str, *__: object) -> None:
        for name, original in further.items():
            if prefix + original in state:
                state[prefix + name] = state[prefix + original]

    register: Any = model  # torch leaves both untyped
    register.register_state_dict_post_hook(leave_out)
    register.register_load_state_dict_pre_hook(put_in)


def _shapes(model: FairseqTranslator | FairseqLanguageModel) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return model.shapes(len(SPECIAL))


class _ThroughFairseq(SupervisedLearner):
    """What both learners have of fairseq alike."""

    def make_optimizer(self) -> torch.optim.Optimizer:
        """What fairseq's optimizer drives: an optimizer of torch's kind."""
        settings = FairseqOptimizer.of(self._spec.training.optimizer)
        arguments = Namespace(optimizer=settings.name, **settings.arguments)
        driven = library().optim.build_optimizer(arguments, list(self.model.parameters()))
        found: torch.optim.Optimizer = driven.optimizer
        return found

    def peers(self) -> Sequence[Peer]:
        """None: it is what the native learner is timed beside."""
        return []


class FairseqTranslationLearner(_ThroughFairseq, TranslationLearner):
    """fairseq's Transformer, trained and searched by fairseq; places are counted as it does.

    Without a beam a translation is a search with one hypothesis, which, unlike the native one, is never empty.
    """

    components = replace(TranslationLearner.components, model=FairseqTranslator, optimizer=FairseqOptimizer)
    model: nn.Module  # type: ignore[assignment]  # no Transformer of ours

    @classmethod
    def parameter_shapes(cls, spec: TaskSpec) -> dict[str, tuple[int, ...]]:
        """The network's parameters, without fairseq, as if there were special types alone."""
        return _shapes(FairseqTranslator.of(spec.model))

    def network(self) -> nn.Module:
        """fairseq's network with its first weights."""
        fairseq, pairs, settings = library(), self._pairs, FairseqTranslator.of(self._spec.model)
        pieces = (pairs.tokenizer.id_to_token(index) or str(index) for index in range(pairs.size))
        words = dictionary(pieces, PAD, UNKNOWN)
        self._task = fairseq.tasks.translation.TranslationTask(Namespace(eval_bleu=False), words, words)
        places = max(POSITIONS, self._settings.longest + 1)
        self._criterion = self._task.build_criterion(
            Namespace(
                criterion="label_smoothed_cross_entropy",
                label_smoothing=self._settings.label_smoothing,
                sentence_avg=False,
            )
        )
        return built(self._task, settings.name, {**settings.arguments, "max_target_positions": places})

    def _input(self, source: Tensor, target: Tensor) -> dict[str, Tensor]:
        """What fairseq's models read: the target begins with `EOS`, and has none at its end."""
        before = torch.cat([torch.full_like(target[:, :1], EOS), target[:, :-1]], 1)
        before[:, 1:].masked_fill_(before[:, 1:] == EOS, PAD)
        return {"src_tokens": source, "src_lengths": (source != PAD).sum(1), "prev_output_tokens": before}

    def scores(self, source: Tensor, target: Tensor) -> Tensor:
        """Scores [pairs, length, types] of each target token, those before it given."""
        found: Tensor = self.model(**self._input(source, target))[0]
        return found

    def mean_loss(self, source: Tensor, target: Tensor) -> Tensor:
        """Mean cross-entropy of a batch's target tokens, in nats, by fairseq's criterion."""
        tokens = int((target != PAD).sum())
        batch = {"net_input": self._input(source, target), "target": target, "ntokens": tokens}
        total: Tensor = self._criterion(self.model, batch)[0]
        return total / tokens

    def translate(self, split: Split) -> list[str]:
        """Translations of a split's sources, at most `longest` tokens each, by fairseq's search."""
        with evaluating(self.model):
            return [self._pairs.text(ids) for ids in self._searched(self._pairs.source[split])]

    def search(self, source: Tensor) -> list[list[int]]:
        """The best translation of each source [sentences, length] by fairseq's SequenceGenerator, without its `EOS`.

        Raises Diverged where the network's scores of the first token are not finite.
        """
        with torch.no_grad():
            check_finite(self.scores(source, torch.full_like(source[:, :1], EOS)).amax(-1))
        settings = self._settings
        searched = Namespace(
            beam=max(1, settings.beam), lenpen=settings.length_penalty, max_len_a=0, max_len_b=settings.longest
        )
        generator = self._task.build_generator([self.model], searched)
        batch = {"net_input": {"src_tokens": source, "src_lengths": (source != PAD).sum(1)}}
        found = self._task.inference_step(generator, [self.model], batch)
        return [hypotheses[0]["tokens"].tolist()[:-1] for hypotheses in found]

    def probes(self, n: int) -> Sequence[BatchProbe]:
        """`n` batches of pairs, by a data stream that no epoch uses."""
        return [
            replace(probe, batch_loss=_plainly(probe.batch_loss), outputs=_plainly(probe.outputs))
            for probe in super().probes(n)
        ]


def _plainly(compute: Any) -> Any:
    """Attention in plain operations, which can be differentiated twice (torch's fused ones cannot)."""

    def computed() -> Tensor:
        with sdpa_kernel(SDPBackend.MATH):
            found: Tensor = compute()
        return found

    return computed


class FairseqLanguageModelLearner(_ThroughFairseq, LanguageModelLearner):
    """fairseq's LSTM language model; the hidden state is carried on by what fairseq carries it by in a search.

    Its vocabulary has one more type than the text, for padding.
    """

    components = replace(LanguageModelLearner.components, model=FairseqLanguageModel, optimizer=FairseqOptimizer)
    model: nn.Module  # type: ignore[assignment]  # no LSTM of ours

    @classmethod
    def parameter_shapes(cls, spec: TaskSpec) -> dict[str, tuple[int, ...]]:
        """The network's parameters, without fairseq, as if there were special types alone."""
        return _shapes(FairseqLanguageModel.of(spec.model))

    def network(self) -> nn.Module:
        """fairseq's network with its first weights."""
        fairseq, size, settings = library(), self._text.size, FairseqLanguageModel.of(self._spec.model)
        words = dictionary((*map(str, range(size)), SPECIAL[PAD]), size, UNKNOWN)
        task = fairseq.tasks.language_modeling.LanguageModelingTask(Namespace(), words, targets=["future"])
        self._criterion = task.build_criterion(Namespace(criterion="cross_entropy", sentence_avg=False))
        return built(task, settings.name, {**settings.arguments, "criterion": "cross_entropy"})

    def scores(self, inputs: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Scores [time, batch, types] of what follows inputs [time, batch], and the hidden state after them.

        fairseq's decoder begins each text from zeros unless it is read place by place.
        """
        decoder: Any = self.model.decoder
        carried: dict[str, Any] = {}
        if state is not None:
            known = {"prev_hiddens": state[0], "prev_cells": state[1], "input_feed": None}
            decoder.set_incremental_state(carried, "cached_state", known)
        read = [decoder.extract_features(place[:, None], incremental_state=carried)[0] for place in inputs]
        scores = decoder.output_layer(torch.stack([features[:, 0] for features in read]))
        after = decoder.get_incremental_state(carried, "cached_state")
        return scores, (after["prev_hiddens"], after["prev_cells"])

    def mean_loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Mean negative log-likelihood of targets [time, batch], in nats, by fairseq's criterion."""
        total: Tensor = self._criterion.compute_loss(self.model, (scores, None), {"target": targets})[0]
        return total / targets.numel()


@torch.no_grad()
def take_native(model: nn.Module, native: nn.Module) -> None:
    """Write the weights of a native network into fairseq's of the same sizes.

    Of the type for padding, which the native LSTM has not, the embedding is zero and the bias that of never.
    """
    theirs = dict(model.named_parameters())
    for name, value in native.named_parameters():
        parameter = theirs.pop(fairseq_name(name))
        parameter[: len(value)] = value
        parameter[len(value) :] = NEVER if name == "decoder.bias" else 0.0
    assert not theirs, f"not in the native network: {', '.join(theirs)}"


def read_binaries(folder: Path, languages: tuple[str, str]) -> tuple[list[str], dict[str, list[tuple[Tensor, Tensor]]]]:
    """What `fairseq-preprocess` wrote: its joined dictionary's symbols, and both sides of `train`, `valid` and `test`.

    A side is fairseq's ids of its sentences end to end, and their lengths. Raises RunError for files that are missing,
    and for two dictionaries.
    """
    data = library().data
    places = [folder / f"dict.{language}.txt" for language in languages]
    for place in places:
        if not place.is_file():
            raise RunError(f"{place} is not there: a folder that fairseq-preprocess wrote is needed")
    source, target = (data.Dictionary.load(str(place)) for place in places)
    if source != target:
        raise RunError(f"{places[0]} and {places[1]} differ: preprocess with --joined-dictionary")
    sides: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for split in ("train", "valid", "test"):
        sides[split] = []
        for language in languages:
            place = folder / f"{split}.{'-'.join(languages)}.{language}"
            found = data.data_utils.load_indexed_dataset(str(place), source)
            if found is None or not len(found):
                raise RunError(f"{place}.bin is not there, or empty: preprocess {split} too")
            rows = [found[index] for index in range(len(found))]
            sides[split].append((torch.cat(rows), torch.tensor([len(row) for row in rows])))
    return list(source.symbols), sides
