# ruff: noqa: E501 - lines of data
"""What is private is held back: addresses, numbers, and names that no list of ours holds, in sentences of reviews."""

import time
from itertools import cycle

import pytest
from reading_names import NAMES

from llmrec.reading.private import HELD_BACK, hold_back, holds_private
from llmrec.reading.private.name_words import GIVEN
from llmrec.reading.profiles.extractive import Extractive
from llmrec.reading.profiles.generate import Generate
from llmrec.reading.readers.lexicon import read_by_words

#: {n}: the whole name, {l}: the surname alone.
LATIN = (
    "My name is {n} and I have played for ten years.", "{n} from customer service helped me at once.", "Thanks to {n} for the reply.",
    "Great strings.\nRegards, {n}", "I spoke with {n} about the broken knob.", "Mr. {l} said the amp would last.",
    "My friend {n} recommended this tuner.", "The pedal is quiet. - {n}", "I gave it to {n} last week.", "{n} answered within an hour.",
)  # fmt: skip
SENTENCES = {
    "en": LATIN, "it": LATIN, "pl": LATIN, "tr": LATIN,
    "de": ("Mein Name ist {n} und ich spiele Bass.", "Herr {l} hat mir geholfen.", "Guter Klang.\nViele Grüße, {n}",
           "{n} hat mir das Gerät empfohlen."),
    "fr": ("Je m'appelle {n} et je joue.", "{n} m'a répondu très vite.", "Madame {l} a été très gentille."),
    "es": ("Me llamo {n} y toco la guitarra.", "Gracias a {n} por la ayuda.", "Señora {l} me ayudó mucho."),
    "ru": ("Меня зовут {n}, играю десять лет.", "{n} помог мне с выбором.", "Отличный звук. С уважением, {n}",
           "Спасибо {n} за совет."),
    "zh": ("我叫{n}，电池很好用。", "客服{n}帮我换了新的。", "{n}先生推荐的，音质不错。", "谢谢{n}的帮助。", "音质很好。——{n}"),
    "ar": ("اسمي {n} وأعزف منذ عشر سنوات.", "ساعدني {n} في اختيار الجهاز.", "السيد {n} كان لطيفا.", "البطارية ممتازة. مع تحياتي، {n}"),
    "hi": ("मेरा नाम {n} है और बैटरी अच्छी है।", "{n} ने मेरी मदद की।", "श्री {n} बहुत अच्छे हैं।", "बढ़िया। धन्यवाद, {n}"),
    "ja": ("{n}さんに勧められました。", "私は{n}です。電池が長持ちします。"),
    "ko": ("제 이름은 {n}입니다.", "{n} 씨가 추천했어요.", "배터리가 오래가요. {n} 드림"),
}  # fmt: skip
MAILS = ("jo.doe@example.com", "jo (at) example (dot) org", "李雷＠example.cn")
PHONES = ("+49 (0)30 123-4567", "138 0013 8000", "(555) 123-4567")
#: Nobody is named here.
INNOCENT = (
    "I bought this Fender Stratocaster in 2013 for $450 and it sounds great.", "The Ernie Ball strings last longer than D'Addario.",
    "Works with my Boss DS-1 and the Planet Waves tuner.", "Amazon Prime delivered it on Monday.", "Good Quality. Highly Recommended!",
    "I played it for 20 hours at 440 Hz.", "Der Akku hält lange, das Gehäuse ist stabil.", "Звук хороший, батарея держит неделю.",
    "包装很好，客服态度不错，安装方便。", "卖家发货很快，音质清楚。", "安静的水壶，我很喜欢它。", "顾客很温馨，画面高清。", "البطارية ممتازة والصوت واضح.", "बैटरी बहुत अच्छी है।", "音が良いです。", "소리가 좋아요.",
)  # fmt: skip


def planted() -> list[tuple[str, str, tuple[str, ...]]]:
    """(language, text, what must not be left of it)."""
    found = []
    for language, names in NAMES.items():
        for name, sentence in zip(names.split(" "), cycle(SENTENCES[language]), strict=False):
            given, surname = (part.replace("_", " ") for part in name.split("|"))
            whole = surname + given if language in ("zh", "ja", "ko") else f"{given} {surname}"
            parts = (
                (surname,) if "{l}" in sentence else (whole,) if language in ("zh", "ja", "ko") else (given, surname)
            )
            found.append((language, sentence.format(n=whole, l=surname), parts))
    return found


def test_names_that_no_list_holds_are_held_back() -> None:
    texts = planted()
    assert len(texts) == 200
    assert not {part for names in NAMES.values() for name in names.split(" ") for part in name.split("|")} & GIVEN
    missed = [text for _, text, parts in texts if any(part in hold_back(text) for part in parts)]
    assert len(missed) <= 10, missed


def test_no_planted_address_reaches_a_profile_and_no_planted_name_that_was_found() -> None:
    for maker in (Extractive(), Generate(max_tokens=256)):
        for (_, text, parts), mail, phone in zip(planted(), cycle(MAILS), cycle(PHONES), strict=False):
            said = f"{text} The battery is excellent, write to {mail} or call {phone}."
            kept = maker.kept(said, read_by_words(said).model_dump())
            profile = hold_back(maker.document("user", [kept, kept])).lower()
            assert "battery" in profile and mail not in profile and phone not in profile
            assert "example" not in profile and "1234567" not in profile.replace("-", "")
            if not any(part in hold_back(said) for part in parts):
                assert not any(part.lower() in profile for part in parts if len(part) > 3)


@pytest.mark.parametrize("text", INNOCENT)
def test_products_numbers_and_praise_stay(text: str) -> None:
    assert hold_back(text) == text and not holds_private(text)


def test_what_is_held_back_leaves_the_rest() -> None:
    text = "Call me on +49 30 1234567, my name is Ottone Pezzali. Great."
    assert hold_back(text) == f"Call me on {HELD_BACK}, my name is {HELD_BACK}. Great."


@pytest.mark.parametrize(
    "text", ["A " * 20_000, "\n" * 40_000, "a" * 40_000, "-" * 40_000, "मेरा नाम " * 4_000, "王" * 20_000, "1 " * 20_000]
)
def test_the_longest_text_costs_little(text: str) -> None:
    started = time.process_time()
    hold_back(text)
    assert time.process_time() - started < 10  # of CPU; what grows with the square would take minutes
