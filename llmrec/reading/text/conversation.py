"""Conversations of several turns and speakers: the customer's words are read, the others' are blanked.

A text is one where two lines at least begin with a speaker and a colon, and there are two speakers. Blanks keep every
offset, so that spans are verbatim in the text itself.
"""

import re

_WHO = r"[ \t]{0,4}[^\W\d][^\n:：]{0,30}[:：]"
_TURN = re.compile(
    rf"^(?={_WHO}(?!//))[ \t]{{0,4}}(?P<who>[^\n:：]{{1,31}})[:：][^\n]*(?:\n(?!{_WHO})[^\n]*)*", re.MULTILINE
)
#: Who is not the customer.
_STAFF = re.compile(
    r"\b(?:agent|support|service|seller|shop|store|staff|assistant|bot|operator|representative|rep|admin|moderator|host|team|"
    r"mitarbeiter\w*|verkäufer\w*|kundendienst|kundenservice|vendeur|vendedor|atención|soporte|оператор|продавец|поддержка)\b|"
    r"客服|卖家|店员|店家|机器人|小二|掌柜|担当|サポート|상담원|판매자|الدعم|البائع|विक्रेता|सहायता",
    re.IGNORECASE,
)
_MOST_SPEAKERS = 6  # more, and the colons are those of a list of facts


def customers_words(text: str) -> str:
    """The text with what others than the customer say blanked; as it is where it is no conversation.

    The customer is whoever is not staff by their name; where nobody is, the first to speak.
    """
    turns = list(_TURN.finditer(text))
    speakers = list(dict.fromkeys(turn["who"].strip().lower() for turn in turns))
    if not 2 <= len(speakers) <= _MOST_SPEAKERS or len(turns) <= len(speakers):
        return text
    staff = {who for who in speakers if _STAFF.search(who)}
    others = staff if 0 < len(staff) < len(speakers) else set(speakers[1:])
    kept = list(text)
    for turn in turns:
        end = turn.end() if turn["who"].strip().lower() in others else turn.end("who") + 1
        kept[turn.start() : end] = ["\n" if c == "\n" else " " for c in text[turn.start() : end]]
    return "".join(kept)
