"""How many encoders, how many threads each, and what each asks of Ray."""

from dataclasses import dataclass

from llmrec.config import EncodingConfig

#: Of one engine on CPUs: weights, activations, and the cache that vLLM sets aside.
_ENGINE_BYTES = 3 * 2**30
#: One more engine on a node must have so much to do: a core starts one in the time it encodes a thousand texts.
_BATCHES_AN_ENGINE = 4


@dataclass(frozen=True)
class Node:
    """What one node of the cluster has."""

    cpus: float
    gpus: float = 0.0
    memory: float = float("inf")  # bytes


@dataclass(frozen=True)
class Placement:
    """`actors` encoders of `threads` CPU threads; each asks Ray for `cpus` logical CPUs and `gpus` GPUs."""

    actors: int
    threads: int
    cpus: float
    gpus: float


def plan(config: EncodingConfig, nodes: list[Node], batches: int) -> Placement:
    """The placement for a cluster of `nodes` and so many batches of work.

    On GPUs one actor a GPU. On CPUs one actor of one thread a core, as far as memory goes: threads of one engine meet
    after every product, and each waits whenever the other's core is needed elsewhere, if only by Ray. Two engines of
    one thread encode 1.14 times what one engine of two threads does (benchmarks/RESULTS.md). An actor asks for one
    logical CPU at most, whatever its threads, and all of them leave one to the tasks that feed them: a cluster whose
    actors hold every CPU stands still.
    Raises ValueError where no node can take one actor.
    """
    able = [n for n in nodes if n.cpus > 0 and n.gpus >= config.gpus_per_actor] or _to_come(config, nodes)
    wanted = _slots(config, able, batches) if config.actors == "auto" else config.actors
    actors = max(1, min(wanted, batches))
    smallest = min(n.cpus for n in able)
    share = -(-actors // len(able))  # actors on one node
    threads = max(1, int(smallest // share)) if config.threads_per_actor == "auto" else config.threads_per_actor
    free = smallest - 1 if smallest >= 2 else smallest / 2
    return Placement(actors, threads, round(min(1.0, free / share), 3), config.gpus_per_actor)


def _slots(config: EncodingConfig, able: list[Node], batches: int) -> int:
    if config.gpus_per_actor:
        return sum(int(n.gpus // config.gpus_per_actor) for n in able)
    if config.encoder.backend == "vllm":
        room = sum(max(1, int(min(n.cpus, n.memory / _ENGINE_BYTES))) for n in able)
        return min(room, max(len(able), batches // _BATCHES_AN_ENGINE))
    return sum(max(1, int(n.cpus) - 1) for n in able)


def _to_come(config: EncodingConfig, nodes: list[Node]) -> list[Node]:
    """The nodes that an autoscaler will bring, one an actor, where the configuration says how many actors to await."""
    if config.actors != "auto" and config.gpus_per_actor:
        return [Node(max(n.cpus for n in nodes), config.gpus_per_actor)] * config.actors
    raise ValueError(
        f"encoding.gpus_per_actor: found {config.gpus_per_actor}, but no node of the cluster has that many GPUs and a "
        f"CPU; nodes have {[(n.cpus, n.gpus) for n in nodes]} (CPUs, GPUs). Where nodes scale up from zero, set "
        "encoding.actors to the number that shall come"
    )
