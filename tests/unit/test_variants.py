"""Variants by the families that they read."""

import pytest

from llmrec.features.families.columns import chosen
from llmrec.variants import CONTROLS, FAMILY_PATTERNS, family_patterns, reads_text, trained_variants, variant_to_publish

FAMILIES = ["context", "text_user_profile", "text_match", "item_price"]


def test_with_and_without_text_share_all_but_the_words() -> None:
    found = {variant: set(chosen(FAMILIES, *family_patterns(variant))) for variant in FAMILY_PATTERNS}
    assert found["text"] == set(FAMILIES) and found["no_text"] == {"context", "item_price"}
    assert found["text_only"] == found["text"] - found["no_text"] and not found["ids_only"]
    assert {variant for variant in found if reads_text(variant)} == {"text", "text_only", "no_readings"}


def test_a_run_that_reads_no_text_fits_one_variant() -> None:
    assert trained_variants(True) == ("text", "no_text")
    assert trained_variants(False) == ("no_text",)


def test_what_validation_prefers_is_published_and_never_what_was_judged_worse() -> None:
    assert variant_to_publish({"text": 0.2, "no_text": 0.1}, "cannot tell") == (
        "text", "validation prefers it: ndcg@10 0.2000 against no_text 0.1000"
    )  # fmt: skip
    assert variant_to_publish({"text": 0.1, "no_text": 0.2}, "better")[0] == "no_text"
    assert variant_to_publish({"text": 0.1, "no_text": 0.1}, None)[0] == "text"
    assert variant_to_publish({"text": 0.2, "no_text": 0.1}, "worse") == (
        "no_text", "the report judges the variant with text worse"
    )  # fmt: skip
    assert variant_to_publish({"no_text": 0.1}, None)[0] == "no_text"


def test_every_control_withholds_or_replaces_one_thing() -> None:
    for name, control in CONTROLS.items():
        assert control.name == name
        changed = control.variant != "text", control.swap is not None, control.backend is not None, control.frozen
        assert sum(changed) == 1, name
        family_patterns(control.variant)


def test_an_unknown_variant_is_told_what_there_is() -> None:
    with pytest.raises(ValueError, match="'both': expected one of text, no_text, text_only, ids_only"):
        family_patterns("both")
