"""Which weights are tuned, and that merged updates give the vectors that were learned."""

from pathlib import Path

import pytest
import torch
from factories.tuning import tiny_bert

from llmrec.config import EncoderConfig, TuningConfig
from llmrec.tuning.methods import after_step, allocation, apply_method, merge, orthogonality
from llmrec.tuning.network import TextNetwork, load_network

IDS = [[101, 2000, 2001, 102], [101, 2002, 102]]


@pytest.fixture
def network(tmp_path: Path) -> TextNetwork:
    folder = tiny_bert(tmp_path)
    return load_network(EncoderConfig(model=str(folder)), folder, "float32", False)


def tuned(network: TextNetwork) -> set[str]:
    return {name for name, p in network.named_parameters() if p.requires_grad}


def test_the_last_layers(network: TextNetwork) -> None:
    apply_method(network, TuningConfig(method="last_layers", last_layers=1))
    assert tuned(network) and all("encoder.layer.1." in name for name in tuned(network))


def test_low_rank_updates_are_merged(network: TextNetwork) -> None:
    before = network(IDS)
    apply_method(network, TuningConfig(method="lora", lora={"rank": 2, "targets": ["query", "value"]}))
    assert len(tuned(network)) == 2 * 2 * 2 and all("lora_" in name for name in tuned(network))
    assert torch.allclose(network(IDS), before, atol=1e-6)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    learned = network(IDS)
    assert (learned - before).abs().max() > 1e-3
    merge(network)
    assert torch.allclose(network(IDS), learned, atol=1e-5)
    assert not any("lora" in name for name, _ in network.named_parameters())


def test_ranks_are_spent_where_they_matter(network: TextNetwork) -> None:
    """Three layers of four get no signal: their singular values go first."""
    config = TuningConfig(
        method="adalora", steps=20, lora={"rank": 2, "targets": ["query", "key"], "orthogonality": 0.1}
    )
    before = network(IDS)
    apply_method(network, config)
    assert torch.allclose(network(IDS), before, atol=1e-6)
    weights = dict(network.named_parameters())
    named = [n for n in tuned(network) if "lora_E" in n]
    assert [tuple(weights[n].shape) for n in named] == [(4, 1)] * 4
    apart, matters = [], sorted(named)[0].replace("lora_E", "%s")
    optimizer = torch.optim.Adam([weights[n] for n in sorted(tuned(network))], lr=0.05)
    for step in range(1, 21):
        optimizer.zero_grad()
        factor = orthogonality(network)
        assert factor is not None
        apart.append(float(factor.detach()))
        pulled = sum((0.01 * weights[n]).sum() for n in named) + 10 * (weights[matters % "lora_E"] - 1).square().sum()
        (factor + pulled + 0.01 * network(IDS).sum()).backward()
        optimizer.step()
        after_step(network, step)
    assert apart[-1] < 0.5 * apart[0]
    left = {n: int((weights[n] != 0).sum()) for n in named}
    assert sum(left.values()) == 2 * 4 and left[matters % "lora_E"] == 4
    learned = network(IDS)
    merge(network)
    assert torch.allclose(network(IDS), learned, atol=1e-4) and not tuned(network) & set(named)


def test_other_methods_have_no_ranks_to_spend(network: TextNetwork) -> None:
    apply_method(network, TuningConfig(method="lora"))
    after_step(network, 1)
    assert orthogonality(network) is None and allocation(network) == {}


def test_without_targets_all_linear_layers_are_meant_but_those_that_nothing_depends_on(network: TextNetwork) -> None:
    apply_method(network, TuningConfig(method="lora"))
    layers = {name.split(".lora_")[0] for name in tuned(network)}
    assert len(layers) == 2 * 6 and not any("pooler" in name for name in layers)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"method": "last_layers", "last_layers": 3}, "last_layers: found 3, expected at most 2"),
        (
            {"method": "lora", "lora": {"targets": ["querry"]}},
            "no linear layer 'querry'.*nearest is 'query' of dense",
        ),
    ],
)
def test_layers_that_are_not_there(config: dict[str, object], said: str, network: TextNetwork) -> None:
    with pytest.raises(ValueError, match=said):
        apply_method(network, TuningConfig.model_validate(config))


def test_bottlenecks_stand_behind_what_writes_to_the_residual_stream_and_are_merged(network: TextNetwork) -> None:
    before = network(IDS)
    apply_method(network, TuningConfig(method="bottleneck", lora={"rank": 3}))
    layers = {name.rpartition(".")[0] for name in tuned(network)}
    assert {n.replace("encoder.layer.0.", "") for n in layers if "layer.0" in n} == {
        "backbone.attention.output.dense.down", "backbone.attention.output.dense.up",
        "backbone.output.dense.down", "backbone.output.dense.up",
    }  # fmt: skip
    assert len(tuned(network)) == 2 * 2 * 2 and torch.allclose(network(IDS), before, atol=1e-6)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if ".up." in name:
                parameter.normal_()
    learned = network(IDS)
    assert (learned - before).abs().max() > 1e-3
    merge(network)
    assert torch.allclose(network(IDS), learned, atol=1e-5)
    assert not any(".up." in name or ".layer.weight" in name for name, _ in network.named_parameters())


def test_a_bottleneck_behind_no_layer_is_refused(network: TextNetwork) -> None:
    with pytest.raises(ValueError, match=r"no linear layer 'dens'.*nearest is 'dense'"):
        apply_method(network, TuningConfig(method="bottleneck", lora={"targets": ["dens"]}))
