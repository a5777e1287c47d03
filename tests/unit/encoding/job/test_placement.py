"""How many actors, and that they never hold every logical CPU."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec.config import EncoderConfig, EncodingConfig
from llmrec.encoding.job.placement import Node, plan


def test_one_actor_of_one_thread_a_core() -> None:
    made = plan(EncodingConfig(), [Node(16), Node(16)], batches=200)
    assert (made.actors, made.threads, made.gpus) == (32, 1, 0)
    assert 16 * made.cpus <= 15.01


def test_as_many_engines_as_memory_holds_and_they_share_the_cores() -> None:
    made = plan(EncodingConfig(), [Node(16, memory=13 * 2**30)], batches=100)
    assert (made.actors, made.threads) == (4, 4)
    assert plan(EncodingConfig(), [Node(16, memory=2**30)], batches=100).actors == 1


def test_few_texts_are_one_engine_with_every_core() -> None:
    made = plan(EncodingConfig(), [Node(2)], batches=7)
    assert (made.actors, made.threads) == (1, 2)
    assert plan(EncodingConfig(), [Node(2)], batches=8).actors == 2


def test_one_actor_a_gpu() -> None:
    nodes = [Node(4), Node(8, 2), Node(8, 2)]
    made = plan(EncodingConfig(gpus_per_actor=1), nodes, batches=100)
    assert (made.actors, made.gpus) == (4, 1)


def test_ranks_of_one_model_share_a_node() -> None:
    config = EncodingConfig(gpus_per_actor=2, tensor_parallel=2)
    assert plan(config, [Node(8, 4), Node(8, 2)], batches=9).actors == 3


def test_no_more_actors_than_batches() -> None:
    assert plan(EncodingConfig(gpus_per_actor=1), [Node(8, 8)], batches=3).actors == 3


def test_the_configuration_decides() -> None:
    made = plan(EncodingConfig(actors=2, threads_per_actor=1), [Node(2)], batches=9)
    assert (made.actors, made.threads) == (2, 1)


def test_no_gpu_anywhere_says_so() -> None:
    with pytest.raises(ValueError, match=r"gpus_per_actor: found 1.*no node.*\(8.*0"):
        plan(EncodingConfig(gpus_per_actor=1), [Node(8)], batches=1)


def test_gpus_that_scale_up_from_zero_are_awaited_where_they_are_numbered() -> None:
    made = plan(EncodingConfig(gpus_per_actor=1, actors=4), [Node(8)], batches=100)
    assert (made.actors, made.gpus) == (4, 1)


def test_static_encoders_take_every_cpu_but_one() -> None:
    config = EncodingConfig(encoder=EncoderConfig(backend="hashing"))
    assert plan(config, [Node(4), Node(2)], batches=100).actors == 4


@given(
    nodes=st.lists(st.integers(1, 64), min_size=1, max_size=4),
    actors=st.one_of(st.just("auto"), st.integers(1, 8)),
    threads=st.one_of(st.just("auto"), st.integers(1, 8)),
)
def test_a_share_of_a_cpu_always_stays_free(nodes: list[int], actors: int | str, threads: int | str) -> None:
    """The known trap: actors hold every logical CPU, and the tasks that feed them wait for ever."""
    cluster = [Node(float(cpus)) for cpus in nodes]
    made = plan(EncodingConfig(actors=actors, threads_per_actor=threads), cluster, batches=1000)
    on_one_node = -(-made.actors // len(cluster))
    assert made.cpus > 0
    assert on_one_node * made.cpus <= min(nodes) - min(1, min(nodes) / 2) + 0.01 * on_one_node
