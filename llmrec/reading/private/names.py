# ruff: noqa: E501 - patterns, one a line
"""People's names: by what stands around them, by common given names, by how surnames begin and end.

A name alone, unknown and in no such place, is not found. In scripts with capitals a run of capitalised words is looked at;
in others the words behind a cue are.
"""

import re
from functools import cache

from llmrec.reading.private import name_words as w
from llmrec.reading.private.addresses import Spans
from llmrec.words import parts_of_speech

_UPPER = "".join(c for c in map(chr, range(0x41, 0x1E00)) if c.isupper() or c.istitle())
_WORD = rf"(?<!\w)[{_UPPER}][\w'’\-]{{0,30}}\w"
_PARTICLE = r"(?:de|da|do|del|della|di|dos|das|van|von|zu|der|den|bin|ibn|al|el|la|le|ter|ten|af|y)[ ]"
_NEXT = rf"(?:[ ](?:{_PARTICLE}){{0,2}}(?:{_WORD}|[{_UPPER}]\.?(?!\w)))"
_ONE = rf"{_WORD}{_NEXT}{{0,3}}"
_SEVERAL = rf"(?:{_WORD}|[{_UPPER}]\.){_NEXT}{{1,3}}"
_HAN, _ARAB, _DEVA, _HANGUL, _HEBREW = r"[一-鿿]", r"[ء-ْٱ-ۓ]", r"[ऀ-ॣ‍‌]", "[가-힣]", "[א-ת]"
_HAN_RARE = 30  # times in jieba's corpora: 安静, 高清 and 顾客 begin as surnames do, and are more frequent
_END = r"\s{0,3}[.!。]?\s{0,3}\Z"


def names_in(text: str) -> Spans:
    """(start, end) of what looks like a person's name."""
    found = [m.span("name") for pattern in _patterns() for m in pattern.finditer(text)]
    found += [m.span("name") for m in _run().finditer(text) if _is_known(m.group("name"))]
    found = [_without_common(text, *span) for span in found]
    return [s for s in found if s[0] < s[1]] + (_chinese(text) if re.search(_HAN, text) else [])


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    cased = [
        rf"(?:(?i:\b(?:{w.INTRODUCED})))[:,]?\s{{1,3}}(?P<name>{_ONE})",
        rf"(?:(?i:(?<!\w)(?:{w.TITLES})))\.?[ ](?P<name>{_ONE})",
        rf"(?:(?i:(?<!\w)(?:{w.MET})))[ ](?P<name>{_SEVERAL})",
        rf"(?<!\w)(?P<name>{_SEVERAL}),?[ ](?:(?i:{w.DID}))(?!\w)",
        rf"(?<!\w)(?P<name>{_WORD})[ ](?:(?i:from (?:customer|support|sales|tech)|told me|helped me|(?:he|she) (?:said|told)))\b",
        rf"(?:^|[\n.!?…])\s{{0,3}}(?:(?i:{w.CLOSING}))?[ ,:]{{0,3}}\s?[-–—~]{{1,3}}\s{{0,2}}(?P<name>{_ONE}){_END}",
        rf"(?:(?i:(?<!\w)(?:{w.CLOSING})))[ ,:!.]{{0,3}}\s{{1,4}}(?P<name>{_ONE}){_END}",
    ]
    return tuple(re.compile(pattern) for pattern in (*cased, *_uncased()))


def _uncased() -> tuple[str, ...]:
    """Of scripts without capitals: a cue, and the words behind it or before it."""
    arab = rf"(?:(?:عبد|أبو|ابو|آل|بن|ابن|أم)[ ])?{_ARAB}{{1,20}}"
    arabic = rf"{arab}(?:[ ](?!في|على|من|عن|في|و){arab}){{0,2}}"
    deva = rf"{_DEVA}{{1,20}}(?:[ ](?!(?:है|हूँ|हूं|ने|को|से|का|की|के|और|बहुत)(?!{_DEVA})){_DEVA}{{1,20}}){{0,2}}"
    hebrew = rf"{_HEBREW}[א-ת'\"]{{1,20}}(?:[ ]{_HEBREW}[א-ת'\"]{{1,20}})?"
    surname = rf"(?!{w.HAN_WORDS})(?:{w.HAN_DOUBLE}|[{w.HAN_SURNAMES}])"
    return (
        rf"(?:اسمي(?: هو)?|(?:ال)?(?:سيد|سيدة|أستاذ|أستاذة|دكتور|دكتورة|موظف|موظفة)|(?:صديق|صديقت|أخ|أخت|زوج|زوجت|ابن|ابنت)ي|"
        rf"شكر(?:ا|اً|ًا) (?:يا|إلى)|ساعدني|ساعدتني|نصحني|نصحتني|تحدثت مع|تواصلت مع|(?:مع )?تحياتي[،,]?|التوقيع[:،]?)\s+(?P<name>{arabic})",
        rf"(?:मेरा नाम|श्री|श्रीमती|सुश्री|डॉ\.?|मेरे (?:दोस्त|भाई|पति|पिता|बेटे)|मेरी (?:पत्नी|बहन|माँ|दोस्त|बेटी)|धन्यवाद|सादर)[,:]?\s+(?P<name>{deva})",
        rf"(?P<name>{_DEVA}{{1,20}}(?:[ ]{_DEVA}{{1,20}}){{1,2}})[ ](?:जी\b|ने (?:मेरी|मुझे|हमें|हमारी|बताया|कहा|सलाह))",
        rf"(?:שמי|קוראים לי|מר|גברת|ד\"ר|חברי|חברתי|אשתי|בעלי|תודה ל|בברכה[,]?|חתום[,:]?)\s?(?P<name>{hebrew})",
        rf"(?:我叫|名字(?:叫|是)|名叫|姓名[:：]?|联系人[:：]?|署名[:：]?|落款[:：]?|签名[:：]?|谢谢|感谢|多亏|客服|卖家|店员|师傅|朋友|同事|老公|老婆|[—\-]{{1,2}})\s?(?P<name>{surname}{_HAN}{{1,2}})",
        rf"(?P<name>{surname}{_HAN}{{0,2}})(?:先生|女士|小姐|老师|经理|师傅|同学|阿姨|叔叔|大哥|客服)",
        rf"(?P<name>{_HAN}{{1,4}}[ 　]?[一-鿿ぁ-ゖァ-ヶ]{{0,4}}?)(?:さん|様|さま|くん|氏)(?![一-鿿])",
        rf"(?:私は|名前は|担当の)(?P<name>{_HAN}{{1,4}}[ 　]?[一-鿿ぁ-ゖァ-ヶ]{{0,4}}?)(?=です|と申|と言|といい|さん|が|に)",
        rf"(?:이름은|저는|친구|담당자|직원)\s?(?P<name>[{w.HANGUL_SURNAMES}]{_HANGUL}{{1,3}}?)(?=입니다|이에요|예요|이고|라고|이라고|씨|님|이가|가|이|\s|$)",
        rf"(?<!{_HANGUL})(?P<name>[{w.HANGUL_SURNAMES}]{_HANGUL}{{1,3}}?)\s?(?:씨|(?<!고객)(?<!판매자)(?<!선생)(?<!사장)님|드림|올림)(?!{_HANGUL}{{2}})",
    )


def _without_common(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without words at its ends that are no names."""
    while (first := text[start:end].split(" ")[0]) in w.COMMON and start < end:
        start = min(end, start + len(first) + 1)
    while (last := text[start:end].rpartition(" ")[2]) in w.COMMON and start < end:
        end = max(start, end - len(last) - 1)
    return start, end


@cache
def _run() -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?P<name>{_SEVERAL})(?!\w)")


@cache
def _surname() -> re.Pattern[str]:
    return re.compile(rf"\w{{2,}}{w.SURNAME_ENDINGS}")


def _is_known(run: str) -> bool:
    """Of capitalised words: whether one is a common given name, or ends as surnames do."""
    words = run.split(" ")
    return any(word in w.GIVEN for word in words) or any(_surname().fullmatch(word) for word in words[1:])


def _chinese(text: str) -> Spans:
    """Words that jieba takes for names, that begin with a surname, and that its dictionary does not know as frequent."""
    found, at = [], 0
    for word, kind, times in parts_of_speech(text):
        if kind == "nr" and 2 <= len(word) <= 4 and word[0] in w.HAN_SURNAMES and len(set(word)) > 1:
            found += [(at, at + len(word))] if times <= _HAN_RARE else []
        at += len(word)
    return found
