"""What Prometheus sees of this process at /metrics."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.samples import Sample

from serve_app.messages import ModelDescription, Provenance
from serve_app.middleware.traffic import Traffic

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_COUNTS = (0, 1, 10, 50, 100, 200, 500, 1000)


class Metrics:
    """A registry of its own, so that several applications in one process do not meet."""

    def __init__(self, traffic: Traffic) -> None:
        own = self._registry = CollectorRegistry()
        ProcessCollector(registry=own)
        self.requests = Counter("llmrec_requests", "Answers", ["method", "route", "status"], registry=own)
        self.latency = Histogram(
            "llmrec_request_seconds", "Time to an answer", ["route"], buckets=_SECONDS, registry=own
        )
        self._stages = Histogram(
            "llmrec_stage_seconds", "Time of one call of a deployment", ["stage"], buckets=_SECONDS, registry=own
        )
        self.retries = Counter("llmrec_stage_retries", "Calls repeated", ["stage"], registry=own)
        self.candidates = Histogram("llmrec_candidates", "Candidates of the first stage", buckets=_COUNTS, registry=own)
        self._answers = Counter("llmrec_recommendations", "Lists, by what they rest on", ["basis"], registry=own)
        self._fallbacks = Counter("llmrec_fallbacks", "Lists that are not personal", ["reason"], registry=own)
        self._age = Gauge("llmrec_bundle_age_seconds", "Since the served bundle was made", registry=own)
        self._refused = Gauge("llmrec_bundles_refused", "Bundles offered and not taken", registry=own)
        self._bundle = Gauge("llmrec_bundle", "1 for the bundle that is served", ["bundle"], registry=own)
        for name, meaning, value in (
            ("llmrec_requests_ongoing", "Requests that are being answered", lambda: traffic.ongoing),
            ("llmrec_bodies_arriving", "Requests whose body is held or still arriving", lambda: traffic.reading),
        ):
            Gauge(name, meaning, registry=own).set_function(value)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure one call of a deployment, failed ones too."""
        with self._stages.labels(name).time():
            yield

    def answered(self, provenance: Provenance) -> None:
        """Count a list by what it rests on."""
        self._answers.labels(provenance.basis).inc()
        if provenance.reason is not None:
            self._fallbacks.labels(provenance.reason).inc()

    def samples(self) -> list[Sample]:
        """All that was counted, a sample each."""
        return [sample for metric in self._registry.collect() for sample in metric.samples]

    def render(self, model: ModelDescription | None) -> bytes:
        """The exposition; without `model` what was known of the bundle before."""
        if model is not None:
            self._age.set(time.time() - model.card["made_unix"])
            self._refused.set(len(model.refused))
            self._bundle.clear()
            self._bundle.labels(model.bundle).set(1)
        return generate_latest(self._registry)
