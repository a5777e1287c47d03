"""The vectors, and the exact gradient of a loss of all of them, however the texts are cut up."""

from pathlib import Path

import numpy as np
import pytest
import torch
from factories.tuning import tiny_bert

from llmrec.config import EncoderConfig
from llmrec.encoding.encoders.pooling import TOKEN_POOLINGS
from llmrec.tuning.gradients import Passes, backward, encode
from llmrec.tuning.network import TextNetwork, load_network, pool
from llmrec.workers.process_group import ProcessGroup

IDS = [[101, *range(2000, 2000 + n), 102] for n in (3, 9, 1, 5, 5, 2, 7)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert(tmp_path_factory.mktemp("tiny"))


def network_of(folder: Path, dropout: bool = False, **encoder: object) -> TextNetwork:
    return load_network(EncoderConfig(model=str(folder), **encoder), folder, "float32", dropout)


def loss_of(vectors: torch.Tensor) -> torch.Tensor:
    return torch.logsumexp(4 * vectors @ vectors.T, 1).mean()


def gradient(network: TextNetwork, passes: Passes) -> tuple[float, torch.Tensor]:
    network.zero_grad()
    torch.manual_seed(1)
    loss = backward(network, IDS, loss_of, passes)
    return loss, torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])


@pytest.mark.parametrize("pooling", ["mean", "cls", "last", "max"])
def test_padding_changes_no_vector(folder: Path, pooling: str) -> None:
    network = network_of(folder, pooling=pooling)
    together = encode(network, IDS, Passes(ProcessGroup(), 4))
    alone = torch.cat([network([row]) for row in IDS])
    assert torch.allclose(together, alone, atol=1e-5) and torch.allclose(together.norm(dim=1), torch.ones(7))


def test_poolings_are_those_of_the_encode_stage() -> None:
    states = torch.randn(1, 5, 4, generator=torch.manual_seed(0))
    mask = torch.tensor([[True, True, True, False, False]])
    tokens = states[0, :3].numpy()
    np.testing.assert_allclose(pool(states, mask, "max")[0], TOKEN_POOLINGS["max"](tokens))
    for pooling, expected in {"mean": tokens.mean(0), "cls": tokens[0], "last": tokens[-1]}.items():
        np.testing.assert_allclose(pool(states, mask, pooling)[0], expected, rtol=1e-6)


@pytest.mark.parametrize(("micro", "cached"), [(1, False), (3, False), (1, True), (3, True)])
def test_micro_batches_and_caching_change_no_gradient(folder: Path, micro: int, cached: bool) -> None:
    network = network_of(folder)
    loss = loss_of(network(IDS))
    network.zero_grad()
    loss.backward()
    whole = torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])
    found, grads = gradient(network, Passes(ProcessGroup(), micro, cached))
    assert found == pytest.approx(loss.item(), abs=1e-5) and whole.abs().max() > 1e-4
    assert torch.allclose(grads, whole, atol=1e-6)


def test_dropout_is_drawn_again_as_it_was(folder: Path) -> None:
    network = network_of(folder, dropout=True)
    kept = gradient(network, Passes(ProcessGroup(), 3))
    cached = gradient(network, Passes(ProcessGroup(), 3, cached=True))
    assert kept[0] == cached[0] and torch.allclose(kept[1], cached[1], atol=1e-6)
    assert kept[0] != gradient(network_of(folder), Passes(ProcessGroup(), 3))[0]


def test_workers_share_the_texts_out() -> None:
    dealt = [np.concatenate(Passes(ProcessGroup(rank, 3), 2).chunks(IDS)) for rank in range(3)]
    assert sorted(np.concatenate(dealt)) == list(range(7))
    lengths = [len(IDS[row]) for row in np.concatenate(Passes(ProcessGroup(), 2).chunks(IDS))]
    assert lengths == sorted(lengths, reverse=True)


def test_weights_that_no_vector_depends_on_are_left_alone(folder: Path) -> None:
    network = network_of(folder)
    assert not any(p.requires_grad for n, p in network.named_parameters() if "pooler" in n)
    assert all(p.requires_grad for n, p in network.named_parameters() if "encoder.layer" in n)
