"""The fairseq backend as a learner: pruned weights, arms, snapshots, and the binaries that fairseq's own tools write.

Run with `pytest -m fairseq` where the extra `fairseq` is installed; a failed import fails.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from domains.nlp import fairseq_backend as backend
from domains.nlp.datasets import PairDataset, pairs
from domains.nlp.peers import Fairseq
from suite.bench.peer import REPLICATE, measure
from suite.experiment.errors import RunError, UsageError
from suite.experiment.learner import Span
from suite.experiment.loading import builder
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.task import Data
from suite.experiment.taskfile import Task
from suite.tickets.arms import ARMS
from suite.tickets.enforce import enforce
from suite.tickets.mask import Mask
from tests.commands import lottery
from tests.experiment.running import results, run

pytestmark = pytest.mark.fairseq

Make = Callable[..., Any]
NAMES = ("multi30k-transformer-fairseq", "wikitext2-lstm-fairseq")


def half(made: Any) -> Mask:
    generator = torch.Generator().manual_seed(0)
    dense = Mask.dense(made.model, made._spec.prunable)
    return Mask({name: torch.rand(kept.shape, generator=generator) < 0.5 for name, kept in dense.items()})


def largest_pruned(model: nn.Module, mask: Mask) -> float:
    """Of all names of all parameters, a shared one's too, under which a mask has pruned weights."""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    masked = {id(parameters[name]): ~kept for name, kept in mask.items()}
    return max(float(each.detach()[masked[id(each)]].abs().max()) for each in parameters.values() if id(each) in masked)


@pytest.mark.parametrize("name", NAMES)
def test_pruned_weights_and_their_moments_are_zero_after_steps_and_after_saving_and_loading(
    learner: Make, name: str
) -> None:
    made = learner(name, model__dropout=0.3)
    mask = half(made)
    assert set(mask) == set(made._spec.prunable)
    with enforce(made.model, made.optimizer, mask):
        assert largest_pruned(made.model, mask) == 0
        made.advance(3)
        assert largest_pruned(made.model, mask) == 0
        for parameter_name, kept in mask.items():
            state = made.optimizer.state[made.model.get_parameter(parameter_name)]
            assert not state["exp_avg"][~kept].any()
            assert not state["exp_avg_sq"][~kept].any()
            assert state["exp_avg_sq"][kept].any()
        kept_snapshot = made.snapshot()
        made.advance(6)
    other = learner(name, model__dropout=0.3)
    other.restore(kept_snapshot)
    assert largest_pruned(other.model, mask) == 0
    with enforce(other.model, other.optimizer, mask):
        other.advance(6)
    for key, value in made.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[key]), key


def test_a_shared_embedding_is_saved_once_and_loaded_under_all_its_names(learner: Make) -> None:
    made, other = learner(NAMES[0]), learner(NAMES[0], replicate=1001)
    state = made.model.state_dict()
    assert "encoder.embed_tokens.weight" in state
    assert not {"decoder.embed_tokens.weight", "decoder.output_projection.weight"} & set(state)
    other.model.load_state_dict(state)
    for tensor in (other.model.decoder.embed_tokens.weight, other.model.decoder.output_projection.weight):
        assert tensor is other.model.encoder.embed_tokens.weight
        assert torch.equal(tensor, state["encoder.embed_tokens.weight"])


@pytest.mark.parametrize("name", NAMES)
def test_first_weights_do_not_hang_on_when_fairseq_is_imported(
    learner: Make, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = learner(name).model.state_dict()

    def drawing(of: str) -> Any:
        torch.rand(3)
        return real(of)

    real = backend.import_module
    backend.library.cache_clear()
    monkeypatch.setattr(backend, "import_module", drawing)
    found = learner(name).model.state_dict()
    assert all(torch.equal(value, found[key]) for key, value in expected.items())


def test_an_encoder_with_a_second_copy_of_its_weights_is_refused() -> None:
    class Builds:
        def build_model(self, arguments: Any) -> nn.Module:
            return nn.TransformerEncoderLayer(4, 1)

    with pytest.raises(RunError, match=r"this fairseq keeps attention weights twice \(self_attn\.in_proj_weight\)"):
        backend.built(Builds(), "transformer_wmt_en_de", {})


def test_a_ladder_with_all_arms_gives_a_curve(task: Callable[..., Task], tmp_path: Path) -> None:
    given = task("multi30k-transformer-fairseq")
    options = given.options.model_copy(update={"arms": tuple(ARMS), "levels": 1, "at": (1,), "replicates": 1})
    plan, store, outcome = run(replace(given, options=options), tmp_path)
    assert not outcome.failed
    found = results(plan, store)
    assert {arm for arm, _, _ in found} == {"dense", *ARMS}
    assert all(result.density == pytest.approx(0.5, abs=1e-3) for (_, level, _), result in found.items() if level)
    assert all("bleu" in result.test for result in found.values())
    assert all("version:" in result.notes["bleu"] for result in found.values())


def test_a_ladder_through_fairseq_has_the_verdicts_of_the_native_one(tmp_path: Path) -> None:
    """Of five replicates, three being few for verdicts at this size."""
    verdicts = []
    for task in ("nlp/multi30k-transformer", "nlp/multi30k-transformer-fairseq"):
        folder = tmp_path / task.rpartition("/")[2]
        words = ("--scale", "smoke", "--levels", "2", "--at", "1,2", "--replicates", "5", "--out", folder)
        assert lottery("run", task, *words).returncode == 0
        (said,) = json.loads(lottery("report", folder, "--json").stdout)["tasks"]
        verdicts.append({each["against"]: each["verdict"] for each in said["primary"]})
    native, through_fairseq = verdicts
    assert native == through_fairseq
    assert native["reinit"] == native["random"] == "wins"


ENGLISH = ["one@@ ty two", "three", "two three one@@ ty one@@ ty", "two"]
GERMAN = ["ein@@ s zwei", "drei", "zwei drei ein@@ s ein@@ s", "zwei"]


def preprocess(folder: Path, german: list[str] = GERMAN, *further: str) -> None:
    """Text written as binaries by fairseq's own preprocess."""
    backend.library()
    from fairseq import options
    from fairseq_cli import preprocess as cli

    folder.mkdir()
    for language, lines in (("en", ENGLISH), ("de", german)):
        for split in ("train", "valid", "test"):
            rows = lines if split == "train" else lines[:2]
            (folder / f"{split}.{language}").write_text("".join(f"{line}\n" for line in rows))
    words = ["--source-lang", "en", "--target-lang", "de", "--destdir", str(folder / "bin"), *further]
    for split, flag in (("train", "train"), ("valid", "valid"), ("test", "test")):
        words += [f"--{flag}pref", str(folder / split)]
    cli.main(options.get_preprocessing_parser().parse_args(words))


def binaries(folder: Path, train: int = 4) -> Data:
    settings: dict[str, Any] = {"folder": f"{folder.name}/bin", "source": "en", "target": "de", "train": train}
    loaded = PairDataset.of_data("fairseq-binaries", settings).load(folder.parent)
    return Data(name="fairseq-binaries", fingerprint=loaded.fingerprint, settings=settings)


def test_what_fairseq_preprocessed_is_read_and_learned_from(task: Callable[..., Task], tmp_path: Path) -> None:
    preprocess(tmp_path / "pair", GERMAN, "--joined-dictionary")
    found = pairs(binaries(tmp_path / "pair"), tmp_path)
    for side, lines in ((found.source, ENGLISH), (found.target, GERMAN)):
        joined = [found.text(row) for row in side["train"].padded().tolist()]
        assert joined == [line.replace("@@ ", "") for line in lines]
    assert len(found.source["validation"]) == len(found.source["test"]) == 2
    spec = task(NAMES[0], training__batch=2, training__total_steps=4).spec
    spec = spec.model_copy(update={"data": binaries(tmp_path / "pair")})
    made = backend.FairseqTranslationLearner(spec, Streams(spec.hash, 0), Span(0, 4), Runtime(data=tmp_path))
    made.advance(4)
    assert 0 <= made.evaluate("test")["bleu"] <= 100
    assert made.model.encoder.embed_tokens.num_embeddings == found.size  # type: ignore[union-attr]


def test_an_unknown_word_of_a_target_equals_none_of_a_translation(tmp_path: Path) -> None:
    preprocess(tmp_path / "pair", GERMAN, "--joined-dictionary", "--thresholdsrc", "3")
    found = pairs(binaries(tmp_path / "pair"), tmp_path)
    assert [found.text(ids) for ids in found.target["test"]] == ["eins zwei", "<unk>"]
    assert found.references["test"] == ("eins zwei", "<<unk>>")


def test_binaries_that_cannot_be_used_are_refused_by_what_is_wrong(tmp_path: Path) -> None:
    preprocess(tmp_path / "apart", GERMAN)
    with pytest.raises(
        RunError, match=r"dict\.en\.txt and .*dict\.de\.txt differ: preprocess with --joined-dictionary"
    ):
        binaries(tmp_path / "apart")
    preprocess(tmp_path / "empty", [*GERMAN[:3], ""], "--joined-dictionary")
    with pytest.raises(RunError, match=r"train in .*: sentence 3 is empty: leave such pairs out"):
        binaries(tmp_path / "empty")
    preprocess(tmp_path / "short", GERMAN[:3], "--joined-dictionary")
    with pytest.raises(RunError, match=r"train in .* has 4 sentences on one side and 3 on the other"):
        binaries(tmp_path / "short")
    preprocess(tmp_path / "fine", GERMAN, "--joined-dictionary")
    with pytest.raises(RunError, match=r"data\.settings\.train = 5, but .* has 4 pairs"):
        binaries(tmp_path / "fine", train=5)
    (tmp_path / "fine" / "bin" / "valid.en-de.de.idx").unlink()
    with pytest.raises(RunError, match=r"valid\.en-de\.de\.bin is not there, or empty: preprocess valid too"):
        binaries(tmp_path / "fine")
    with pytest.raises(RunError, match=r"dict\.en\.txt is not there: a folder that fairseq-preprocess wrote"):
        binaries(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "sides"),
    [
        ("multi30k-transformer", ["fairseq: transformer_wmt_en_de", "learner"]),
        ("wikitext2-lstm", ["torch.nn.LSTM in a plain loop", "fairseq: lstm_lm", "learner"]),
    ],
)
def test_both_libraries_are_timed_on_the_same_work_from_the_same_weights(
    task: Callable[..., Task], name: str, sides: list[str]
) -> None:
    found = measure(task(name).spec, 1, 2, scorings=1)
    assert [side.name for side in found.training.sides] == sides
    assert found.scoring is not None
    assert [side.name for side in found.scoring.sides] == sides[-2:]
    assert found.training.unit == "tokens"
    spec = task(name).spec
    made = builder(spec)(spec, Streams(spec.hash, REPLICATE), Span(0, 4), Runtime())
    assert found.training.amount == made.tokens(2, 4)  # those of the round that is counted
    theirs = next(peer for peer in made.peers() if isinstance(peer, Fairseq))._learner
    batches = [each.batch(0) if name == "wikitext2-lstm" else each.batches(0)[0] for each in (made, theirs)]
    assert all(map(torch.equal, *batches))


@pytest.mark.parametrize("name", NAMES)
def test_the_backend_is_not_timed_beside_itself(task: Callable[..., Task], name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name} has no peer"):
        measure(task(name).spec, 1, 1)
