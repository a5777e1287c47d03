"""Each objective's loss against one made by hand, and what it does without its texts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from factories.tuning import texts_of, tiny_bert

from llmrec.config import EncoderConfig, TuningConfig
from llmrec.names import OBJECTIVES as NAMED
from llmrec.names import PAIRS
from llmrec.tuning.data import TuningData
from llmrec.tuning.gradients import Passes
from llmrec.tuning.network import load_network
from llmrec.tuning.objectives.base import Learning
from llmrec.tuning.objectives.contrastive import Contrastive, info_nce
from llmrec.tuning.objectives.registry import OBJECTIVES, make_objective
from llmrec.tuning.pairs import KINDS, Pairs
from llmrec.workers.process_group import ProcessGroup

ROWS = [(u, i, 10 * u + i, float(1 + i)) for u in range(4) for i in range(5)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert(tmp_path_factory.mktemp("tiny"))


def learning(folder: Path, **config: object) -> Learning:
    texts = texts_of(ROWS, 5)
    tokens = [[101, 2000 + n, 2100 + n, 2200 + n, 102] for n in range(len(texts.texts))]
    data = TuningData(texts, tokens, len(ROWS), TuningConfig(**{"batch_size": 8, **config}), 7)
    return Learning(data, load_network(EncoderConfig(model=str(folder)), folder, "float32", False), folder)


def test_the_names_are_those_of_the_rooms() -> None:
    assert list(OBJECTIVES) == list(NAMED) and list(KINDS) == list(PAIRS)


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_a_step_gives_encoder_and_head_a_gradient_in_proportion_to_its_weight(name: str, folder: Path) -> None:
    found = {}
    for weight in (1.0, 3.0):
        made = learning(folder)
        torch.manual_seed(3)
        objective = make_objective(name, made)
        loss, n = objective.step(Passes(ProcessGroup(), 4), np.random.default_rng(1), weight)
        encoder = torch.cat([p.grad.flatten() for p in made.network.parameters() if p.grad is not None])
        assert all(p.grad is not None for p in objective.head.parameters() if p.requires_grad) and n >= 8
        found[weight] = loss, encoder
    assert found[1.0][0] == pytest.approx(found[3.0][0], rel=1e-5) and found[1.0][1].abs().max() > 0
    assert torch.allclose(3 * found[1.0][1], found[3.0][1], atol=1e-4)


def test_info_nce_by_hand() -> None:
    anchors, targets = torch.tensor([[3.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    log_q = torch.log(torch.tensor([0.25, 0.5]))
    nothing = torch.zeros(2, 2, dtype=torch.bool)
    scores = 2 * np.array([[1.0, 0.6], [0.0, 0.8]]) - np.log([0.25, 0.5])
    expected = -np.mean([scores[i, i] - np.log(np.exp(scores[i]).sum()) for i in range(2)])
    assert float(info_nce(anchors, targets, torch.tensor(2.0), log_q, nothing)) == pytest.approx(expected, rel=1e-6)
    masked = nothing.clone()
    masked[0, 1] = True
    alone = -(scores[1, 1] - np.log(np.exp(scores[1]).sum())) / 2
    assert float(info_nce(anchors, targets, torch.tensor(2.0), log_q, masked)) == pytest.approx(alone, rel=1e-6)


def test_what_the_user_had_and_the_same_item_are_no_negatives(folder: Path) -> None:
    texts = texts_of([(0, 0, 1, 5.0), (0, 1, 2, 5.0), (1, 0, 3, 5.0), (1, 2, 4, 5.0), (0, 2, 5, 5.0)], 3)
    data = TuningData(texts, [[101, 102]] * 8, 4, TuningConfig(batch_size=2, pairs={"description": 1}), 7)
    made = Contrastive(Learning(data, load_network(EncoderConfig(model=str(folder)), folder, "float32", False), folder))
    column = np.array
    pairs = Pairs(column([0, 1, 2, 3]), column([5, 6, 5, 7]), column([0, 0, 1, -1]), column([0, 1, 0, 2]))
    excluded = made.excluded(pairs)
    assert excluded[0].tolist() == [False, True, True, False]  # had item 1, is item 0; item 2 comes after training
    assert excluded[2].tolist() == [True, False, False, True]
    assert excluded[3].tolist() == [False, False, False, False]  # nobody's


def test_hidden_words_are_asked_for_and_special_ones_never(folder: Path) -> None:
    made = make_objective("masked_language_model", learning(folder, masked_share=0.5))
    ids = [[101, *range(2000, 2400), 102]] * 3
    shown, asked = made._hide(ids, np.random.default_rng(0))  # type: ignore[attr-defined]
    chosen = np.array(asked) != -100
    assert 0.45 < chosen[:, 1:-1].mean() < 0.55 and not chosen[:, [0, -1]].any()
    assert (np.array(asked)[chosen] == np.array(ids)[chosen]).all()
    assert (np.array(shown)[~chosen] == np.array(ids)[~chosen]).all()
    assert 0.74 < (np.array(shown)[chosen] == 103).mean() < 0.86


@pytest.mark.parametrize(
    ("name", "config", "said"),
    [
        ("contrastive", {"batch_size": 64, "pairs": {"same_user": 1}}, r"found 4 pairs before T1 \(same_user 4\).*64"),
        ("masked_language_model", {"batch_size": 64}, "found 25 texts before T1, expected at least.*64"),
        ("stars", {"batch_size": 64}, "found 20 reviews with stars before T1, expected at least.*64"),
    ],
)
def test_fewer_than_a_batch_are_refused(name: str, config: dict[str, object], said: str, folder: Path) -> None:
    with pytest.raises(ValueError, match=said):
        make_objective(name, learning(folder, **config))
