"""How many encoders, how many threads each, and what each asks of Ray."""

from dataclasses import dataclass

from llmrec.config import EncodingConfig


@dataclass(frozen=True)
class Node:
    """What one node of the cluster has."""

    cpus: float
    gpus: float = 0.0


@dataclass(frozen=True)
class Placement:
    """`actors` encoders of `threads` CPU threads; each asks Ray for `cpus` logical CPUs and `gpus` GPUs."""

    actors: int
    threads: int
    cpus: float
    gpus: float


def plan(config: EncodingConfig, nodes: list[Node], batches: int) -> Placement:
    """The placement for a cluster of `nodes` and so many batches of work.

    On GPUs one actor a GPU. On CPUs one vLLM actor a node with all its threads: two engines on two cores ran 0.8 to
    1.0 times as fast as one, and hold the weights twice; of the static encoders, which use one thread, as many as there
    are CPUs. An actor asks for one logical CPU at most, whatever its threads: it starts where others hold most of a
    node, and leaves a CPU to the tasks that feed it. A cluster whose actors hold every CPU stands still.
    Raises ValueError where no node can take one actor.
    """
    able = [n for n in nodes if n.cpus > 0 and n.gpus >= config.gpus_per_actor] or _to_come(config, nodes)
    wanted = _slots(config, able) if config.actors == "auto" else config.actors
    actors = max(1, min(wanted, batches))
    smallest = min(n.cpus for n in able)
    share = -(-actors // len(able))  # actors on one node
    threads = max(1, int(smallest // share)) if config.threads_per_actor == "auto" else config.threads_per_actor
    free = smallest - 1 if smallest >= 2 else smallest / 2
    return Placement(actors, threads, round(min(1.0, free / share), 3), config.gpus_per_actor)


def _slots(config: EncodingConfig, able: list[Node]) -> int:
    if config.gpus_per_actor:
        return sum(int(n.gpus // config.gpus_per_actor) for n in able)
    if config.encoder.backend == "vllm":
        return len(able)
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
