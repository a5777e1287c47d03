"""What this process counted since it started, as figures for people."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from prometheus_client.samples import Sample

_INF = "+Inf"


@dataclass(frozen=True)
class RouteFigures:
    """Answers of one route. Times are interpolated within the histogram's buckets: ms, None where there are none."""

    route: str
    answers: int
    refused: int  # 4xx
    failed: int  # 5xx
    p50_ms: float | None
    p99_ms: float | None


def by_route(samples: Iterable[Sample]) -> list[RouteFigures]:
    """Of `llmrec_requests` and `llmrec_request_seconds`, the busiest route first."""
    statuses: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    buckets: defaultdict[str, dict[float, float]] = defaultdict(dict)
    for sample in samples:
        route = sample.labels.get("route", "")
        if sample.name == "llmrec_requests_total":
            statuses[route][sample.labels["status"][:1]] += int(sample.value)
        elif sample.name == "llmrec_request_seconds_bucket":
            buckets[route][float(sample.labels["le"])] = sample.value
    found = [
        RouteFigures(route, sum(n.values()), n["4"], n["5"], *(quantile(buckets[route], q) for q in (0.5, 0.99)))
        for route, n in statuses.items()
    ]
    return sorted(found, key=lambda figures: -figures.answers)


def by_label(samples: Iterable[Sample], name: str, label: str) -> dict[str, int]:
    """A counter's values by one label, the largest first."""
    found = {s.labels[label]: int(s.value) for s in samples if s.name == name}
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def quantile(buckets: Mapping[float, float], q: float) -> float | None:
    """ms below which a share `q` lies, of cumulated counts by upper ends in seconds; beyond the last end, that end."""
    ends = sorted(buckets)
    total = buckets[ends[-1]] if ends else 0
    if not total:
        return None
    for low, high in pairwise([0.0, *ends]):
        if buckets[high] >= q * total:
            if high == float(_INF):
                return 1_000 * low
            before = buckets.get(low, 0)
            return 1_000 * (low + (high - low) * (q * total - before) / (buckets[high] - before))
    raise AssertionError("unreachable: the last bucket holds all")
