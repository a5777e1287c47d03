"""AutoInt's layer is its equations; DIN reads the words of past items as the candidate's, and says what they add."""

from pathlib import Path

import numpy as np
import pytest
import torch
from factories.features import World
from factories.training import Folds, folds

from llmrec.features.dataset.rows import Examples, read_examples
from llmrec.models.networks.tokens import FeatureTokens
from llmrec.models.rankers.autoint import AutoIntConfig, InteractingLayer
from llmrec.models.rankers.din import DINConfig, DINRanker, words_of
from llmrec.training.fit import load_context


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Folds:
    return folds(tmp_path_factory.mktemp("attention"), World.random())


def din(made: Folds, variant: str) -> tuple[DINRanker, Examples]:
    torch.manual_seed(0)
    context = load_context(made.validation, variant)
    ranker = DINRanker(DINConfig(embedding_dim=4, hidden=(8,)), context)
    ranker.net.eval()
    return ranker, read_examples(made.validation, "validation", context.selection, context.history_length)


def test_an_interacting_layer_is_equations_5_to_8() -> None:
    torch.manual_seed(0)
    layer, fields = InteractingLayer(3, 4, 2), torch.randn(2, 5, 3)
    q, k, v = layer.qkv.weight.view(3, 2, 2, 3)  # (part, head, d, dim_in)
    for b in range(2):
        for m in range(5):
            heads = []
            for h in range(2):
                psi = torch.stack([(q[h] @ fields[b, m]) @ (k[h] @ fields[b, other]) for other in range(5)])
                alpha = torch.softmax(psi, 0)
                heads.append(sum(alpha[other] * (v[h] @ fields[b, other]) for other in range(5)))
            expected = torch.relu(torch.cat(heads) + layer.residual.weight @ fields[b, m])
            assert torch.allclose(layer(fields)[b, m], expected, atol=1e-5)


def test_a_scalar_is_a_token_and_a_vector_is_one() -> None:
    tokens = FeatureTokens({"a": [0, 3], "text": [1, 2, 4]}, dim=2, wide=2)
    dense = torch.randn(3, 5)
    found = tokens(dense)
    assert found.shape == (3, tokens.n_tokens, 2) == (3, 3, 2)
    assert torch.allclose(found[:, 1], dense[:, 3:4] * tokens.scale[1] + tokens.shift[1])
    assert torch.allclose(found[:, 2], tokens.project[0](dense[:, [1, 2, 4]]))
    assert FeatureTokens({}, 2, 2)(dense).shape == (3, 0, 2)


def test_heads_must_share_the_width() -> None:
    with pytest.raises(ValueError, match="attention_dim must be a multiple of heads"):
        AutoIntConfig(attention_dim=9)


def test_past_items_have_the_words_that_candidates_have(made: Folds) -> None:
    ranker, rows = din(made, "text")
    words, own = words_of(ranker.context)
    known = np.flatnonzero(rows.item_idx > 0)
    assert words.shape == (ranker.context.spec.n_items, len(own)) and words[1:].any() and not words[0].any()
    assert np.allclose(rows.dense[np.ix_(known, own)], words[rows.item_idx[known]], atol=1e-5)


def test_without_words_there_is_none_to_read(made: Folds) -> None:
    ranker, rows = din(made, "no_text")
    assert ranker.net.say is None and ranker.net.words.shape[1] == 0
    assert np.isfinite(ranker.logits(rows)).all()
    assert not any(name.startswith("text") for name in ranker.attributions(rows.take(slice(0, 20))))


def test_the_words_of_past_items_are_read_and_told_as_words(made: Folds) -> None:
    ranker, rows = din(made, "text")
    before, parts = ranker.logits(rows), ranker.attributions(rows.take(slice(0, 40)))
    assert np.abs(parts["text_user_sequence"]).max() > 0
    ranker.net.words.zero_()
    changed = ranker.logits(rows) != before
    assert (changed == (rows.history > 0).any(axis=1)).mean() > 0.95


def test_a_bundle_holds_no_words_twice(made: Folds, tmp_path: Path) -> None:
    assert not {"words", "own"} & set(din(made, "text")[0].state())
