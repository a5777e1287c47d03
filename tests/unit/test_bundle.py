"""A bundle saves, loads and answers alike; what must not serve is refused by name; CURRENT moves last."""

import json
import re
import shutil
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from factories.bundles import make_bundle
from factories.disk import full_disk
from factories.features import World
from factories.training import Folds, folds, tiny_config
from safetensors.numpy import load_file, save_file

from jobs.publish import publish_job
from llmrec import bundle
from llmrec.bundle import Bundle, refuse_untrusted_code, verify
from llmrec.bundle_files import DIGESTS, BundleError, write_digests
from llmrec.config import RunConfig
from llmrec.models.files.weights_file import WeightsError
from llmrec.registry import current, publish, rollback
from llmrec.storage import Artifact, Storage
from llmrec.training import train

TOWERS, RANKER = (f"models/{key}/weights.safetensors" for key in ("retriever.two_tower", "ranker"))
ARRAYS = (TOWERS, RANKER, "models/blender/weights.safetensors", "probes.safetensors")


@dataclass(frozen=True)
class Made:
    folds: Folds
    bundles: dict[str, Artifact]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    world = folds(tmp_path_factory.mktemp("bundle"), World.random())
    config, bundles = tiny_config(), {}
    for variant in ("text", "no_text"):
        models = train(config, world.storage, world.validation, world.test, [variant])[variant]
        bundles[variant] = bundle.assemble(config, world.storage, world.test, models)
    return Made(world, bundles)


def answers(made: Bundle) -> tuple[np.ndarray, np.ndarray]:
    times = np.full(6, made.last_time)
    return made.recommender(10).recommend(made.history.users_at(np.arange(6), times), times, 5)


def files_of(artifact: Artifact) -> Path:
    return Path(artifact.uri("bundle.json")).parent


@pytest.fixture
def copied(made: Made, tmp_path: Path) -> Path:
    """A copy of the bundle's folder, to be damaged."""
    return Path(shutil.copytree(files_of(made.bundles["text"]), tmp_path / "copy"))


def test_it_loads_from_its_artifact_and_from_a_copied_folder_and_answers_alike(made: Made, copied: Path) -> None:
    first, second = Bundle.load(made.bundles["text"].root), Bundle.load(str(copied))
    verify(first)
    for a, b in zip(answers(first), answers(second), strict=True):
        assert np.array_equal(a, b)
    assert first.variant == "text"
    assert first.id == made.bundles["text"].id
    assert Bundle.load(made.bundles["no_text"].root).variant == "no_text"


def test_saved_again_it_answers_alike(made: Made, tmp_path: Path) -> None:
    first = Bundle.load(made.bundles["text"].root)
    first.save(str(tmp_path))
    for a, b in zip(answers(first), answers(Bundle.load(str(tmp_path))), strict=True):
        assert np.array_equal(a, b)


def test_assembling_twice_reuses(made: Made) -> None:
    world, config = made.folds, tiny_config()
    models = train(config, world.storage, world.validation, world.test, ["text"])["text"]
    assert bundle.assemble(config, world.storage, world.test, models).reused


def test_the_card_says_what_it_is_made_of(made: Made) -> None:
    loaded = Bundle.load(made.bundles["text"].root)
    card = loaded.card
    assert f"bundle {loaded.id}" in card
    assert f"{len(loaded.history.item_ids) - 1} items" in card
    chosen = loaded.settings.models.chosen["retriever.two_tower"]
    assert f"retriever: `two_tower`, chosen on the validation window: {chosen}" in card
    assert "Not evaluated yet" in card
    filled = bundle.model_card(loaded.settings, {"two-stage": {"ndcg@10": 0.125}})
    assert "- two-stage: ndcg@10 0.1250" in filled
    assert "Not evaluated yet" not in filled


def test_no_file_of_a_bundle_is_a_pickle(made: Made) -> None:
    for path in files_of(made.bundles["text"]).rglob("*"):
        if path.is_file():
            assert path.suffix in (".json", ".safetensors", ".md", ".npy", ".arrow")
            assert path.read_bytes()[:2] != b"\x80\x04"


def test_an_array_of_objects_is_not_unpickled(copied: Path) -> None:
    np.save(copied / "history" / "price.npy", np.array([{"a": 1}], object))
    write_digests(str(copied))
    with pytest.raises(ValueError, match=r"price.npy: not a whole .npy file"):
        Bundle.load(str(copied))


@pytest.mark.parametrize(
    "name", ["weights.pkl", "spec/code.py", "history/../evil.bin", "sub/x.safetensors", "models/ranker/a.py"]
)
def test_files_that_do_not_belong_are_refused(copied: Path, name: str) -> None:
    (copied / name).parent.mkdir(exist_ok=True, parents=True)
    (copied / name).write_bytes(b"\x80\x04cos\nsystem\n.")
    with pytest.raises(BundleError, match=r"do not belong to a bundle; expected bundle.json"):
        Bundle.load(str(copied))


@pytest.mark.parametrize("name", ["bundle.json", *ARRAYS])
def test_a_missing_file_is_named(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises((BundleError, WeightsError), match=name):
        Bundle.load(str(copied))


@pytest.mark.parametrize("name", ARRAYS[:2])
def test_misshapen_weights_are_refused(copied: Path, name: str) -> None:
    path = copied / name
    whole = load_file(path)
    key = max(whole, key=lambda k: whole[k].size)
    save_file(whole | {key: np.ascontiguousarray(whole[key][:-1])}, path)
    write_digests(str(copied))
    with pytest.raises(WeightsError, match="shape"):
        Bundle.load(str(copied))
    save_file({k: v for k, v in whole.items() if k != key}, path)
    write_digests(str(copied))
    with pytest.raises(WeightsError, match=re.escape(f"missing ['{key}']")):
        Bundle.load(str(copied))


@pytest.mark.parametrize("name", ARRAYS)
def test_cut_off_arrays_and_nan_are_refused(copied: Path, name: str) -> None:
    path = copied / name
    whole = load_file(path)
    key = next(k for k in whole if whole[k].dtype.kind == "f")
    save_file(whole | {key: np.full_like(whole[key], np.nan)}, path)
    write_digests(str(copied))
    with pytest.raises(ValueError, match="NaN"):
        Bundle.load(str(copied))
    save_file(whole, path)
    path.write_bytes(path.read_bytes()[:-7])
    write_digests(str(copied))
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        Bundle.load(str(copied))


def test_unreadable_settings_and_other_formats_are_refused(copied: Path) -> None:
    path = copied / "bundle.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps(settings | {"format": 99}))
    write_digests(str(copied))
    with pytest.raises(BundleError, match=f"found format 99, expected {bundle.FORMAT}"):
        Bundle.load(str(copied))
    path.write_text(json.dumps(settings | {"surprise": 1}))
    write_digests(str(copied))
    with pytest.raises(BundleError, match="surprise"):
        Bundle.load(str(copied))
    path.write_text("{")
    write_digests(str(copied))
    with pytest.raises(BundleError, match="cannot be read"):
        Bundle.load(str(copied))
    with pytest.raises(BundleError, match="found no files"):
        Bundle.load(str(copied / "nothing"))


def test_features_of_another_run_are_refused(made: Made, copied: Path, tmp_path: Path) -> None:
    world = World.random(seed=3)
    settings = world.settings.model_copy(update={"text_dim": 4})
    other = World(world.reviews, world.items, settings).prepare()
    shutil.rmtree(copied / "spec")
    other.spec.save(str(copied / "spec"))
    write_digests(str(copied))
    with pytest.raises(BundleError, match=r"the models expect .* spec and weights come from different runs"):
        Bundle.load(str(copied))


def test_one_flipped_bit_of_any_file_is_refused_by_its_name(copied: Path) -> None:
    rng = np.random.default_rng(0)
    for path in sorted(p for p in copied.rglob("*") if p.is_file()):
        whole = path.read_bytes()
        for place in rng.integers(len(whole), size=3):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(bytes(flipped))
            with pytest.raises(BundleError):
                Bundle.load(str(copied))
        path.write_bytes(whole)
    verify(Bundle.load(str(copied)))


def test_a_tail_of_zeros_is_refused(copied: Path) -> None:
    path = copied / TOWERS
    data = path.read_bytes()
    path.write_bytes(data[:-4000] + bytes(4000))
    with pytest.raises(BundleError, match=r"weights.safetensors: damaged or changed: found sha256"):
        Bundle.load(str(copied))


def test_surplus_and_links_are_refused(copied: Path, tmp_path: Path) -> None:
    shutil.copy(copied / "history" / "price.npy", copied / "history" / "surplus.npy")
    with pytest.raises(BundleError, match=r"found \['history/surplus.npy'\] beside"):
        Bundle.load(str(copied))
    (copied / "history" / "surplus.npy").unlink()
    elsewhere = tmp_path / "elsewhere"
    shutil.move(copied / RANKER, elsewhere)
    (copied / RANKER).symlink_to(elsewhere)
    with pytest.raises(BundleError, match="found a symbolic link"):
        Bundle.load(str(copied))


@pytest.mark.parametrize("written", ["{}", "[]", "{", None])
def test_digests_that_cannot_be_read_are_refused(copied: Path, written: str | None) -> None:
    (copied / DIGESTS).unlink()
    if written is not None:
        (copied / DIGESTS).write_text(written)
    with pytest.raises(BundleError, match=DIGESTS):
        Bundle.load(str(copied))


def test_an_artifact_of_another_id_is_refused(made: Made, tmp_path: Path) -> None:
    storage = Storage(str(shutil.copytree(made.folds.storage.root, tmp_path / "store")))
    found = storage.find("bundle", made.bundles["text"].id)
    assert found is not None
    renamed = shutil.copytree(found.root, tmp_path / "other")
    with pytest.raises(BundleError, match="expected 'other', as its folder says"):
        Bundle.load(str(renamed))
    _rewrite_settings(found, {"id": "another"})
    with pytest.raises(BundleError, match=f"found id 'another', expected '{found.id}'"):
        Bundle.load(found.root)


def test_no_file_is_shared_with_another_artifact(made: Made) -> None:
    for artifact in made.bundles.values():
        assert {p.stat().st_nlink for p in files_of(artifact).rglob("*") if p.is_file()} == {1}


def test_a_bundle_cannot_allow_its_encoder_to_run_code(made: Made, tmp_path: Path) -> None:
    """Neither where it is published nor where it serves: only the server's configuration can."""
    storage = Storage(str(shutil.copytree(made.folds.storage.root, tmp_path / "store")))
    hostile = storage.find("bundle", made.bundles["text"].id)
    assert hostile is not None
    encoder = json.loads((files_of(hostile) / "bundle.json").read_text())["encoder"]
    _rewrite_settings(hostile, {"encoder": encoder | {"trust_remote_code": True}})
    with pytest.raises(BundleError, match="a bundle cannot allow it"):
        publish(storage, hostile, "shop")
    with pytest.raises(BundleError, match="a bundle cannot allow it"):
        refuse_untrusted_code(Bundle.load(hostile.root), RunConfig().serving.trust_remote_code)
    assert publish(storage, hostile, "shop", trust_remote_code=True)["id"] == hostile.id


def _rewrite_settings(artifact: Artifact, changes: dict[str, object]) -> None:
    """As somebody would who wants it to be believed: the digests fit."""
    settings = files_of(artifact) / "bundle.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | changes))
    write_digests(str(settings.parent))


@pytest.mark.parametrize("name", [TOWERS, RANKER, "models/blender/weights.safetensors"])
def test_weights_of_another_run_load_but_do_not_verify(copied: Path, name: str) -> None:
    """Each stage's part changed alone is noticed: the probes hold the answers of both."""
    path = copied / name
    weights = load_file(path)
    moved = {
        k: np.asarray(v * np.float32(1.5) + np.float32(0.1), v.dtype) for k, v in weights.items() if v.dtype.kind == "f"
    }
    save_file(weights | moved, path)
    write_digests(str(copied))
    with pytest.raises(BundleError, match="answer the stored probes otherwise"):
        verify(Bundle.load(str(copied)))


def test_a_model_that_nobody_has_is_named(copied: Path) -> None:
    path = copied / "models" / "ranker" / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"name": "oracle"}))
    write_digests(str(copied))
    with pytest.raises(WeightsError, match="names the ranker 'oracle', which this llmrec does not have"):
        Bundle.load(str(copied))


def test_publish_moves_current_and_rollback_moves_it_back(made: Made) -> None:
    storage = made.folds.storage
    with pytest.raises(FileNotFoundError, match="nothing is published as 'shop'"):
        current(storage, "shop")
    first = publish(storage, made.bundles["text"], "shop")
    assert (first["sequence"], first["previous"], first["id"]) == (1, None, made.bundles["text"].id)
    with pytest.raises(BundleError, match="version 1 is the first"):
        rollback(storage, "shop")
    second = publish(storage, made.bundles["no_text"], "shop")
    assert (second["sequence"], second["previous"]) == (2, 1)
    assert publish(storage, made.bundles["no_text"], "shop") == second  # nothing new to publish
    assert current(storage, "shop") == second
    assert Bundle.load(current(storage, "shop")["uri"]).variant == "no_text"
    assert rollback(storage, "shop") == first
    assert current(storage, "shop") == first
    third = publish(storage, made.bundles["no_text"], "shop")
    back = publish_job(RunConfig(name="shop"), storage, Namespace(rollback=True))["published"]
    assert back == current(storage, "shop") == first
    publish(storage, made.bundles["no_text"], "shop")
    assert (third["sequence"], third["previous"]) == (3, 1)  # a number is never given twice


def test_on_a_full_disk_current_stays_and_no_half_bundle_is_found(made: Made, tmp_path: Path) -> None:
    storage = Storage(str(tmp_path / "full"))
    good = make_bundle(storage, "good")
    publish(storage, good, "demo")
    other = make_bundle(storage, "other", seed=1)
    with full_disk(10), pytest.raises(OSError, match="File too large"):
        publish(storage, other, "demo")
    assert current(storage, "demo")["id"] == "good"
    with full_disk(2_000), pytest.raises(OSError, match="File too large"):
        make_bundle(storage, "half")
    assert storage.find("bundle", "half") is None


def test_a_registry_may_be_moved(made: Made, tmp_path: Path) -> None:
    publish(made.folds.storage, made.bundles["text"], "moving")
    moved = Storage(str(shutil.copytree(made.folds.storage.root, tmp_path / "moved")))
    pointer = current(moved, "moving")
    assert pointer["uri"].startswith(moved.root)
    assert Bundle.load(pointer["uri"]).id == made.bundles["text"].id


def test_a_bad_bundle_never_becomes_current(made: Made, tmp_path: Path) -> None:
    storage = Storage(str(shutil.copytree(made.folds.storage.root, tmp_path / "store")))
    good, bad = (storage.find("bundle", made.bundles[a].id) for a in ("text", "no_text"))
    assert good is not None
    assert bad is not None
    before = publish(storage, good, "safe")
    path = Path(bad.uri(RANKER))
    weights = load_file(path)
    save_file({k: np.full_like(v, np.nan) for k, v in weights.items()}, path)
    write_digests(str(files_of(bad)))
    with pytest.raises(WeightsError, match="NaN"):
        publish(storage, bad, "safe")
    assert current(storage, "safe") == before


@pytest.mark.parametrize("name", ["../evil", "", "..", "a/b", "a b"])
def test_names_of_the_registry_stay_inside_it(made: Made, name: str) -> None:
    with pytest.raises(ValueError, match="registry: found name"):
        publish(made.folds.storage, made.bundles["text"], name)
