# ruff: noqa: E501 - lines of data, one quality each
"""The words by which people speak of qualities, in English, German and Chinese: what readers without a model know.

A term with + or - behind it judges by itself ("broke-"); what is said of others, the clause around them decides.
"""

import re
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

#: Category -> terms; the categories are what features count, in this order.
ASPECTS: Mapping[str, str] = MappingProxyType({
    "weight": "weight|weigh|weighs|light to carry+|lightweight+|featherweight+|heavy-|wiegt|Gewicht|schwer-|重量|轻便+|太重-|沉重-",
    "durability": "sturdy+|durable+|rugged+|solid+|build|built|break|broke-|broken-|fell apart-|robust+|stabil+|zerbrochen-|"
    "结实+|耐用+|坚固+|牢固+|坏了-",
    "water": "waterproof+|water|rain|leak-|leaks-|leaked-|seals|wasserdicht+|Wasser|Regen|防水+|进水-|漏水-",
    "noise": "quiet+|silent+|silence+|noise|noisy-|loud-|hum|buzz-|leise+|lautlos+|laut-|安静+|静音+|噪音|吵-",
    "battery": "battery|batteries|charge|charging|Akku|Akkulaufzeit|Ladung|电池|续航|充电|没电-",
    "setup": "set-up|setup|set up|install|installed|installation|instructions|assemble|assembly|Einrichtung|einzurichten|"
    "Anleitung|安装|设置|操作",
    "finish": "finish|wood|wooden|walnut|oak|Holz|Holzdesign|Nussbaumholz|木质|木纹|胡桃木|橡木",
    "colour": "color|colors|colour|colours|colourful+|bright|vivid+|dull-|Farbe|Farben|bunt+|颜色|色彩|鲜艳+|灰暗-",
    "size": "size|compact+|foldable+|folds|fits|bulky-|small|large|Größe|kompakt+|faltbar+|sperrig-|小巧+|折叠|大小|尺寸",
    "feel": "soft+|cosy+|cozy+|fluffy+|fabric|surface|scratchy-|weich+|kuschelig+|Stoff|Oberfläche|kratzt-|柔软+|面料|表面|扎手-",
    "sustainability": "recycled+|sustainable+|eco-friendly+|renewable+|plastic waste-|packaging|nachhaltig+|recycelt+|"
    "umweltfreundlich+|Plastikmüll-|环保+|回收|碳中和+",
    "repair": "repair|repaired|spare parts|fix|mend|Ersatzteile|reparieren|Reparatur|维修|修理|配件",
    "safety": "safe+|safety|sharp edges|child lock|dangerous-|toddler|sicher+|Kindersicherung|gefährlich-|安全+|儿童锁|危险-",
    "comfort": "comfortable+|uncomfortable-|comfort|ergonomic+|hurts-|sore|ache|bequem+|ergonomische+|tut es weh-|舒服+|人体工学+|痛",
    "precision": "precise+|accurate+|accuracy|imprecise-|inaccurate-|drifts-|tuning|in tune+|out of tune-|präzise+|genau+|"
    "ungenau-|精确+|准确+|不准-",
    "energy": "electricity|power bill|consumption|energy saving+|Strom|Stromrechnung|stromsparend+|Verbrauch|省电+|耗电|电费|费电-",
    "cleaning": "clean|easy to clean+|dishwasher|wipe|dirt|grime|reinigen|abwischen|sauber|Spülmaschine|清洗|洗碗机|污渍",
    "connectivity": "bluetooth|wireless|wifi|pairing|app|smartphone|Kopplung|drahtlose|Handy|蓝牙|应用|手机|无线",
    "style": "vintage|retro|nostalgic|antique|look|looks|design|Stil|nostalgischer|复古|怀旧|外观|古董",
    "power": "powerful+|power|fast+|slow-|weak-|motor|kraftvoll+|schnell+|schwach-|langsam-|动力|强劲+|马达|快速+|慢-",
    "sound": "sound|sounds|tone|tones|sustain|distortion|feedback|Klang|音质|声音",
    "price": "price|cheap|expensive-|overpriced-|value|worth|waste of money-|bargain+|Preis|teuer-|Geldverschwendung-|价格|便宜+|浪费钱-",
    "quality": "quality|well made+|poorly made-|Qualität|质量|做工",
    "service": "service|seller|support|refund|returned-|sent this|warranty|Verkäufer|zurückgeschickt-|卖家|客服|售后|退了-",
    "delivery": "delivery|shipping|arrived|package|box|Lieferung|Karton|快递|物流|盒子|包装",
})  # fmt: skip
CATEGORIES = tuple(ASPECTS)
#: Attribute -> values.
ATTRIBUTES: Mapping[str, str] = MappingProxyType({
    "material": "walnut|oak|maple|mahogany|rosewood|brass|steel|aluminium|aluminum|plastic|leather|velvet|nylon|carbon|Nussbaum|"
    "Eiche|Messing|Kunststoff|Leder|Samt|胡桃木|橡木|黄铜|塑料|皮革|天鹅绒",
    "colour": "black|white|red|blue|green|yellow|pink|grey|gray|brown|gold|silver|schwarz|weiß|rot|blau|gelb|rosa|grau|黑色|"
    "白色|红色|蓝色|黄色|粉红色|灰色",
    "style": "vintage|retro|nostalgic|modern|minimalist|复古|怀旧|现代",
})  # fmt: skip
#: A clause that says what somebody looks for judges nothing.
WISH = re.compile(
    r"\b(look(ing)? for|wanted|matters to me|has to be|always choose|I need|suchte|ist mir wichtig|muss es|wähle immer)\b"
    r"|Mir ist wichtig|我想要|最重要|首先要|总是选",
    re.IGNORECASE,
)
NEGATION = re.compile(r"\b(not|no|never|hardly|n't|nothing|nicht|kein\w*|nie|kaum)\b|n't|不|没|无", re.IGNORECASE)
COMPARISON = re.compile(
    r"\b(better|worse|more \w+|less \w+|cheaper|louder|lighter) than\b|\bcompared (to|with)\b|\bbesser als\b|比.{1,8}(好|差)",
    re.IGNORECASE,
)
CLAUSE = re.compile(r"[^.!?;\n。!?;,]+[?？]?|[^.!?;\n。!?;,]+")
NUMBERED = re.compile(
    r"\b\d+(?:[.,]\d+)?\s?(?:cm|mm|inch|inches|kg|g|lbs?|watts?|w|hz|khz|mah|hours?)\b", re.IGNORECASE
)


@cache
def finder(name: str) -> tuple[re.Pattern[str], Mapping[str, tuple[str, int]]]:
    """(pattern, term in lower case -> (category, its own sign)) of the table `aspects` or `attributes`."""
    table = {"aspects": ASPECTS, "attributes": ATTRIBUTES}[name]
    known: dict[str, tuple[str, int]] = {}
    for category, terms in table.items():
        for term in terms.split("|"):
            known.setdefault(term.rstrip("+-").lower(), (category, {"+": 1, "-": -1}.get(term[-1], 0)))
    ordered = sorted(known, key=lambda term: (-len(term), term))
    alternatives = [re.escape(t) if _han(t) else rf"\b{re.escape(t)}\b" for t in ordered]
    return re.compile("|".join(alternatives), re.IGNORECASE), known


def _han(term: str) -> bool:
    return any("一" <= c <= "鿿" for c in term)
