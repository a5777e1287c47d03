"""Which weights are tuned, and that merged updates give the vectors that were learned."""

from pathlib import Path

import pytest
import torch
from factories.tuning import tiny_bert

from llmrec.config import EncoderConfig, TuningConfig
from llmrec.tuning.methods import apply_method, merge
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
