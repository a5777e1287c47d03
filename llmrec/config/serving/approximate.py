"""Section `serving.approximate`: when and how well large catalogues are searched by a graph."""

from pydantic import Field

from llmrec.config.base import Section


class ApproximateConfig(Section):
    """Catalogues of more than `above` items are searched by HNSW (Malkov & Yashunin, 2018), from faiss."""

    above: int = Field(100_000, ge=1, description="items, from which on retrieval by vectors searches a graph")
    recall: float = Field(
        0.98,
        gt=0,
        lt=1,
        description="of exact search's 50 best, the share that the graph is to find: when a bundle is loaded, ef "
        "(nodes looked at) grows until it does; what was reached stands in /v1/model",
    )
    links: int = Field(32, ge=4, le=128, description="of each node (M): more find more, and take 8 bytes a node each")
    ef_construction: int = Field(
        80, ge=8, le=2_000, description="nodes looked at for each one that joins: a better graph, built in more time"
    )
    max_ef: int = Field(
        10_000, ge=64, description="nodes that one request looks at, at most; beyond, recall is what it is"
    )
