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

    On GPUs one actor a GPU. On CPUs one actor a node with all its threads: two engines that share a node came out no
    faster than one (benchmarks/encode_scale.py), and hold the weights twice. An actor asks for less than its node has,
    so that one CPU stays free for the tasks that feed it: a cluster whose actors hold every CPU stands still.
    Raises ValueError where no node can take one actor.
    """
    gpus = config.gpus_per_actor
    able = [n for n in nodes if n.cpus > 0 and n.gpus >= gpus]
    if not able:
        raise ValueError(
            f"encoding.gpus_per_actor: found {gpus}, but no node of the cluster has that many GPUs and a CPU; nodes "
            f"have {[(n.cpus, n.gpus) for n in nodes]} (CPUs, GPUs)"
        )
    slots = sum(int(n.gpus // gpus) for n in able) if gpus else len(able)
    wanted = slots if config.actors == "auto" else config.actors
    actors = max(1, min(wanted, batches))
    smallest = min(n.cpus for n in able)
    share = max(1, -(-actors // len(able)))  # actors on one node
    threads = max(1, int(smallest // share)) if config.threads_per_actor == "auto" else config.threads_per_actor
    free = smallest - 1 if smallest >= 2 else smallest / 2
    return Placement(actors, threads, round(min(threads, free / share), 3), gpus)
