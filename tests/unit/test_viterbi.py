"""What jieba's own loops find, in the same places and with the same score, whatever is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jieba import posseg
from jieba.posseg.viterbi import viterbi as looped

from llmrec.viterbi import Viterbi

TABLES = posseg.char_state_tab_P, posseg.start_P, posseg.trans_P, posseg.emit_P
CHARACTERS = st.sampled_from(sorted(posseg.char_state_tab_P)) | st.characters(
    min_codepoint=0x4E00, max_codepoint=0x9FFF
)
IN_ARRAYS = Viterbi(*TABLES)


@given(st.lists(CHARACTERS, min_size=1, max_size=20).map("".join))
def test_the_likeliest_way_is_jiebas(text: str) -> None:
    assert IN_ARRAYS(text) == looped(text, *TABLES)


@pytest.mark.parametrize("text", ["王", "王" * 50, "好王" * 30, "龘" * 40, "A王"])
def test_of_equal_ways_it_is_jiebas_too(text: str) -> None:
    assert IN_ARRAYS(text) == looped(text, *TABLES)
