"""A configuration error names the file, the key, what was found and what is allowed."""

from pathlib import Path
from typing import Any

import pytest

from llmrec.config import ConfigError, EncoderConfig, ReviewReadingConfig, RunConfig, TuningConfig, load_config
from llmrec.config.text.precision import usual_precision

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    file = tmp_path / "run.yaml"
    file.write_text("name: mine\ncorpus:\n  source: sample\n")
    return file


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_the_runs_that_come_with_llmrec_are_valid(path: Path) -> None:
    assert load_config(path).name == path.stem


def test_overrides_replace_values(config_file: Path) -> None:
    config = load_config(config_file, ["training.ranker.queries=3", "corpus.sample.seed=11", "storage=/data/x"])
    assert (config.training.ranker.model_dump()["queries"], config.corpus.sample.seed) == (3, 11)
    assert config.storage == "/data/x"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            "training.rankr.epochs=3",
            r"run.yaml: training.rankr: unknown key; the nearest is ranker; allowed here: .*ranker, .*retrievers",
        ),
        (
            "training.ranker.queries=many",
            r"run.yaml: training.ranker: found .*, expected: listwise.queries: .*valid integer.*, found 'many'",
        ),
        (
            "training.ranker=mlp",
            r"training.ranker: found 'mlp', expected: no ranker 'mlp'; the nearest is 'fm' of dcnv2",
        ),
        ("training.ranker=3", r"training.ranker: found 3, expected: the name of a ranker, or settings with a name"),
        (
            "training.ranker.kind=fm",
            r"listwise has no setting 'kind'; the nearest is '\w+' of candidates, .*name, ",
        ),
        (
            "training.retrievers=[eaze]",
            r"training.retrievers: .*no retriever 'eaze'; the nearest is 'ease' of two_tower",
        ),
        ("training.retrievers=[ease, ease]", r"training.retrievers: .*each retriever once, found \['ease', 'ease'\]"),
        ("training.retrievers=3", r"training.retrievers: .*names of retrievers, or name: settings, found 3"),
        ("training.retrievers=[]", r"training.retrievers: .*at least 1"),
        (
            "training.retrievers={ease: {regularization: -1}}",
            r"training.retrievers: .*ease.regularization: .*greater than 0, found -1",
        ),
        ("training.raters=[stars]", r"training.raters: .*no rater 'stars'; the nearest is '\w+' of bias, "),
        (
            "training.blender.name=mean",
            r"training.blender: .*no blender 'mean'; the nearest is '\w+' of conditional_logit",
        ),
        ("evaluation.baselines=[two_tower]", r"evaluation.baselines: .*'two_tower' reads .*; name it in training.retr"),
        ("split.test_quantile=0.5", r"split: .*validation_quantile 0.8 must be below test_quantile 0.5"),
        ("corpus.source=amazon", r"corpus: .*source 'amazon' needs `reviews`"),
        (
            "evaluation.primary_metric=ndgc@10",
            r"evaluation: .*no metric 'ndgc@10'; the nearest is 'ndcg@10' of hit_rate@10, ",
        ),
        ("evaluation.primary_metric=ndcg@20", r"evaluation: .*no metric 'ndcg@20'; the nearest is 'ndcg@"),
        (
            "evaluation.baselines=[popularity, eaze]",
            r"evaluation.baselines: .*no baseline 'eaze'; the nearest is 'ease' of ",
        ),
        ("evaluation.controls=[nope]", r"evaluation.controls: .*no control 'nope'; the nearest is '\w+' of ids_only, "),
        ("features.include=[txt_*]", r"features: .*no feature family 'txt_\*'; the nearest is 'text_"),
        (
            "features.exclude=[item_starz]",
            r"features: .*no feature family 'item_starz'; the nearest is 'item_stars' of user_act",
        ),
        ("features.include=[vector_image_*]", r"features: .*no feature family 'vector_image_\*'"),
        ("encoding.encoder.backend=vlm", r"encoding.encoder.backend: .*; the nearest is 'vllm'"),
        ("evaluation.protocols=[temproal]", r"evaluation.protocols.0: .*; the nearest is 'temporal'"),
        ("epochs", r"override 'epochs': expected SECTION.KEY=VALUE"),
        ("name.x=1", r"override 'name.x=1': name is a value, not a section"),
        ("training.ranker=[", r"override 'training.ranker=\[': not YAML: while parsing"),
        ("training.retrievers={bm25: 5}", r"settings of the retriever bm25, such as \{epochs: 3\}, found 5"),
        ("training.two_tower=5", r"settings of the retriever two_tower, such as \{epochs: 3\}, found 5"),
        ("training.retrievers=[bm25, {}]", r"the name of a retriever, or settings with a name, found \{\}"),
        ("training.ranker={name: listwise, slope: 2}", r"listwise.slope is what the fit chooses, found 2.0; leave it"),
        (
            "training.ranker={name: ensemble, members: {listwise: {shift: 1}}}",
            r"listwise.shift is what the",
        ),
        ("seed=-1", r"seed: found -1, expected: .*greater than or equal to 0"),
        ("name=..", r"name: found '..', expected: .*pattern"),
        ("features.popularity_days=[.inf]", r"features.popularity_days.0: found inf, expected: .*finite"),
        ("features.popularity_days=[]", r"features.popularity_days: found \[\], expected: .*at least 1"),
        ("evaluation.origins=[0.5, 1.5]", r"evaluation.origins: .*expected quantiles below 1"),
        ("evaluation.controls=[ids_only, ids_only]", r"each name once, found \['ids_only', 'ids_only'\]"),
        ("evaluation.controls=[frozen_encoder]", r"frozen_encoder would be the model itself.*tuning.objectives"),
        ("evaluation.controls=[no_readings]", r"no_readings would be the model itself, since reading.reader"),
        ("tuning={objectives: {stars: 1}, augment: {word_dropout: .3}}", r"augment: of contrastive, which tuning"),
        ("tuning={objectives: {stars: 1}, prefixes: [64]}", r"prefixes: of contrastive and distillation, which"),
        ("serving.live.path=mysql://h/d", r"serving.live.path: .*a file, or postgresql://HOST/DATABASE; mysql:// is"),
        ("serving.exposures.path=s3://b/x", r"serving.exposures.path: .*a file on a disk of the machine that serves"),
        ("tuning={max_pairs: 100, few_pairs: [100]}", r"few_pairs \[100\]: expected less than max_pairs, 100"),
    ],
)
def test_a_bad_key_or_value_is_explained(config_file: Path, override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_config(config_file, [override])


def test_one_mistake_is_told_once(config_file: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load_config(config_file, ["evaluation.cutoffs=[0]"])
    assert str(raised.value).count("\n") == 0 and "PydanticUndefined" not in str(raised.value)


def test_a_password_in_an_address_is_refused_and_not_shown(config_file: Path) -> None:
    for url in ("postgresql://me:hunter2@h/d", "postgresql://h/d?password=hunter2"):
        with pytest.raises(ConfigError, match=r"serving\.live\.path: .*no password in the URL") as raised:
            load_config(config_file, [f"serving.live.path={url}"])
        assert "hunter2" not in str(raised.value)


def test_a_key_that_stands_twice_is_refused(config_file: Path) -> None:
    config_file.write_text("name: mine\ncorpus:\n  source: sample\nname: other\n")
    with pytest.raises(ConfigError, match=r"'name' stands here twice\n.*line 1"):
        load_config(config_file)


def test_a_comment_may_name_what_is_not_set(config_file: Path) -> None:
    config_file.write_text("# set ${NOBODY_SETS_THIS} first\nname: mine\n")
    assert load_config(config_file).name == "mine"


def test_models_are_named_alone_or_with_settings(config_file: Path) -> None:
    retrievers = "training.retrievers=[ease, {name: item_knn, neighbours: 5}]"
    raters = "training.raters={bias: , bias_text: {ridge: 3}}"
    config = load_config(config_file, [retrievers, raters, "training.ranker=fm"])
    named = [c.model_dump() for c in config.training.retrievers]
    assert named == [{"name": "ease", "regularization": 200}, {"name": "item_knn", "neighbours": 5}]
    assert [(c.name, getattr(c, "ridge", None)) for c in config.training.raters] == [("bias", None), ("bias_text", 3)]
    assert config.training.ranker.name == "fm" and config.training.blender.name == "conditional_logit"
    again = type(config).model_validate(config.model_dump(mode="json"))
    assert again == config and again.training.ranker.epochs == config.training.ranker.epochs  # type: ignore[attr-defined]


def test_a_missing_file_lists_the_runs_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "none.yaml")


def test_a_path_that_is_no_file_is_told(config_file: Path) -> None:
    with pytest.raises(ConfigError, match="found no file that can be read: Not a directory"):
        load_config(config_file / "x")


@pytest.mark.parametrize("text", ["- a list", "a: [", "\x00"])
def test_a_file_that_is_no_configuration(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"bad\.yaml"):
        load_config(file)


def test_the_environment_fills_in(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config_file.write_text("name: ${LLMREC_TEST_NAME:-fallback}\n")
    assert load_config(config_file).name == "fallback"
    monkeypatch.setenv("LLMREC_TEST_NAME", "given")
    assert load_config(config_file).name == "given"
    config_file.write_text("name: ${LLMREC_TEST_UNSET}\n")
    with pytest.raises(ConfigError, match="LLMREC_TEST_UNSET is not set"):
        load_config(config_file)


@pytest.mark.parametrize(("section", "seeds"), [({}, 1), ({"size": "full"}, 3), ({"size": "full", "seeds": 1}, 1)])
def test_a_full_run_fits_three_seeds(section: dict[str, Any], seeds: int) -> None:
    assert RunConfig.model_validate({"evaluation": section}).evaluation.seeds == seeds


@pytest.mark.parametrize(
    ("cpuinfo", "usual"),
    [
        ("flags\t\t: fpu avx2 avx512_bf16 amx_bf16\n", "bfloat16"),
        ("Features\t: fp asimd bf16 sve\n", "bfloat16"),
        ("flags\t\t: fpu avx2 avx512f\n", "float32"),
        (None, "float32"),
    ],
)
def test_precision_is_what_the_machine_multiplies_fast(
    monkeypatch: pytest.MonkeyPatch, cpuinfo: str | None, usual: str
) -> None:
    def read_text(self: Path) -> str:
        if cpuinfo is None:
            raise FileNotFoundError(self)
        return cpuinfo

    usual_precision.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", read_text)
        found = EncoderConfig().dtype, ReviewReadingConfig().dtype, TuningConfig().dtype
    usual_precision.cache_clear()
    assert found == (usual,) * 3


def test_gpus_multiply_bfloat16_unless_told_otherwise(config_file: Path) -> None:
    gpus = ["encoding.gpus_per_actor=1", "reading.gpus_per_actor=1", "tuning.gpu=true"]
    config = load_config(config_file, gpus)
    assert {config.encoding.encoder.dtype, config.reading.dtype, config.tuning.dtype} == {"bfloat16"}
    assert load_config(config_file, [*gpus, "encoding.encoder.dtype=float32"]).encoding.encoder.dtype == "float32"
