"""The Transformer: causality, padding, cached decoding against teacher forcing, scores."""

import math
from collections.abc import Callable

import pytest
import torch

from domains.nlp import learner as learners
from domains.nlp.data import EOS, PAD
from domains.nlp.learner import TranslationLearner
from domains.nlp.models.transformer import Attention, EncoderDecoder, KeyValue, Transformer, positions
from domains.nlp.scores import Tokens, signatures, text_scores
from suite.experiment.supervised import evaluating

Make = Callable[..., TranslationLearner]


def model(shared: bool = True, normalize_before: bool = True) -> Transformer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = Transformer(
            20, width=16, heads=2, inner=32, encoder_layers=2, decoder_layers=2, dropout=0.0,
            normalize_before=normalize_before, shared=shared,
        )  # fmt: skip
    return made.eval()


SOURCE = torch.tensor([[5, 6, 7, EOS], [8, 9, EOS, PAD]])


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("normalize_before", [True, False])
def test_cached_decoding_agrees_with_teacher_forcing(shared: bool, normalize_before: bool) -> None:
    network, target = model(shared, normalize_before), torch.tensor([[5, 9, 7, 9, EOS], [8, 3, EOS, PAD, PAD]])
    forced = network(SOURCE, target)
    read, token = network.encode(SOURCE), torch.tensor([EOS, EOS])
    past: list[KeyValue | None] = [None, None]
    for place in range(5):
        torch.testing.assert_close(network.step(token[:, None], place, past, read)[:, 0], forced[:, place])
        token = target[:, place]


def test_decoding_of_a_trained_model_agrees_with_teacher_forcing(learner: Make) -> None:
    made = learner("numbers-transformer", last=150, training__total_steps=150)
    made.advance(150)
    source = made._pairs.source["validation"].padded()
    found = made.model.greedy(source, 12)
    made.model.eval()
    forced = made.model(source, found).argmax(-1)
    for row, again in zip(found.tolist(), forced.tolist(), strict=True):
        length = row.index(EOS) + 1 if EOS in row else len(row)
        assert row[:length] == again[:length]
    assert len(set(found.flatten().tolist())) > 5


def test_attention_drops_weights_in_training_alone() -> None:
    attention, states = Attention(8, 2, dropout=1.0), torch.ones(1, 3, 8)
    memory = attention.project(states)
    assert torch.equal(attention(states, memory, None), attention.out_proj.bias.expand(1, 3, 8))
    attention.train(False)
    assert not torch.equal(attention(states, memory, None), attention.out_proj.bias.expand(1, 3, 8))
    half, plain = (Attention(8, 2, dropout=p) for p in (0.5, 0.0))
    half.load_state_dict(plain.state_dict())
    assert not torch.equal(half(states, memory, None), plain(states, memory, None))


@pytest.mark.parametrize(
    "name",
    [
        "multi30k-transformer",
        "numbers-transformer",
        pytest.param("multi30k-transformer-fairseq", marks=pytest.mark.fairseq),
    ],
)
def test_a_network_whose_scores_are_not_finite_has_no_score(learner: Make, name: str) -> None:
    made = learner(name)
    with torch.no_grad():
        for parameter in made.model.parameters():
            parameter.fill_(1e30)
    found = made.evaluate("test")
    assert set(found) == {"exact_match", "bleu", "chrf"}
    assert all(map(math.isnan, found.values()))


def test_what_a_task_says_of_dropout_reaches_every_attention() -> None:
    sizes = {"width": 8, "heads": 2, "inner": 8, "encoder_layers": 2, "decoder_layers": 1}
    settings = EncoderDecoder(**sizes, dropout=0.3, attention_dropout=0.1, normalize_before=False, shared=True)
    attentions = [each for each in settings.build(9).modules() if isinstance(each, Attention)]
    assert [each.dropout for each in attentions] == [0.1] * 4


def test_a_target_token_sees_none_behind_it() -> None:
    network, target = model(), torch.tensor([[5, 6, 7, 8, EOS], [5, 6, 7, 8, EOS]])
    changed = target.clone()
    changed[:, 2] = 11
    one, other = network(SOURCE, target), network(SOURCE, changed)
    assert torch.equal(one[:, :3], other[:, :3])
    assert not torch.allclose(one[:, 3:], other[:, 3:])


def test_padding_of_the_source_changes_nothing() -> None:
    network, target = model(), torch.tensor([[5, 6, EOS]])
    short, long = torch.tensor([[5, 6, EOS]]), torch.tensor([[5, 6, EOS, PAD, PAD]])
    torch.testing.assert_close(network(short, target), network(long, target))


def test_padding_of_the_target_is_not_trained_on(learner: Make) -> None:
    made = learner("numbers-transformer")
    source, target = made.batches(0)[0]
    padded = torch.cat([target, torch.full((len(target), 5), PAD)], 1)
    torch.testing.assert_close(made.mean_loss(source, target), made.mean_loss(source, padded))


def test_a_shared_embedding_is_one_tensor_under_one_name() -> None:
    names = model(shared=True).state_dict().keys()
    assert [n for n in names if "embed" in n or "output_projection" in n] == ["encoder.embed_tokens.weight"]
    names = model(shared=False).state_dict().keys()
    assert {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "output_projection.weight"} <= names


def test_dimensions_are_fairseqs() -> None:
    # fairseq's Base with a joined dictionary of 32,768: 60.9 million parameters (sinusoids are no parameters).
    with torch.device("meta"):
        base = Transformer(32_768, 512, 8, 2_048, 6, 6, 0.1, normalize_before=False, shared=True)
    assert round(sum(p.numel() for p in base.parameters()) / 1e6, 1) == 60.9


def test_positions_continue() -> None:
    assert torch.equal(positions(0, 9, 16)[4:], positions(4, 9, 16))


def test_an_epoch_takes_each_pair_once(learner: Make) -> None:
    made = learner("numbers-transformer")
    assert sorted(row for step in range(8) for row in made._rows_of(step)[0].tolist()) == list(range(64))
    rows = [tuple(r[r != PAD].tolist()) for step in range(8) for r in made.batches(step)[0][1]]
    assert len(rows) == len(set(rows)) == 64


def test_exact_match_counts_equal_strings(learner: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made = learner("numbers-transformer")
    references = made._pairs.references["test"]
    assert len(references) == 16
    monkeypatch.setattr(made, "translate", lambda split: [*references[:12], *["falsch"] * 4])
    scores = made.evaluate("test")
    assert scores["exact_match"] == 0.75
    assert 0 < scores["bleu"] < 100


def test_a_missing_translation_is_refused_where_sacrebleu_would_compare_the_rest() -> None:
    with pytest.raises(ValueError, match="1 hypotheses for 2 references: one for each is needed"):
        text_scores(["eins"], ["eins", "zwei"], "char")


@pytest.mark.parametrize("tokens", ["char", "13a"])
def test_bleu_counts_what_the_task_says_and_notes_say_so(
    learner: Make, monkeypatch: pytest.MonkeyPatch, tokens: Tokens
) -> None:
    made = learner("numbers-transformer", training__settings__bleu=tokens)
    near = [f"{text}e" for text in made._pairs.references["test"]]
    monkeypatch.setattr(made, "translate", lambda split: near)
    assert f"tok:{tokens}" in made.notes()["bleu"]
    # Characters nearly all agree; words, of which each text is one, do nowhere.
    assert (made.evaluate("test")["bleu"] > 50) == (tokens == "char")


def test_each_sentence_gets_its_own_translation_by_a_search_of_like_lengths(
    learner: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = learner("numbers-transformer", last=150, training__total_steps=150, training__settings__beam=2)
    made.advance(150)
    monkeypatch.setattr(learners, "SENTENCES_AT_ONCE", 5)
    sources = made._pairs.source["test"]
    with evaluating(made.model):
        alone = [made.search(sources.padded(torch.tensor([row])))[0] for row in range(len(sources))]
    assert made.translate("test") == [made._pairs.text(ids) for ids in alone]
    assert len({*made.translate("test")}) > 3


def test_perfect_translations_score_a_hundred_and_the_signature_says_how() -> None:
    assert text_scores(["einundzwanzig"], ["einundzwanzig"], "char") == pytest.approx({"bleu": 100, "chrf": 100})
    found = signatures("char")
    assert "tok:char" in found["bleu"]
    assert "version:" in found["chrf"]
