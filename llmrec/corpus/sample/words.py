# ruff: noqa: E501 - lines of data, one quality each
"""The words of the sample corpus: one `Words` a language, aspect by aspect in the same order in each."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Aspect:
    """How people write of one quality of a product."""

    want: str  # fits after "I wanted something that is"
    praise: tuple[str, str, str]  # sentences that say the product has it
    lack: str  # a sentence that says it does not


@dataclass(frozen=True)
class Words:
    """Everything a language needs. `{x}` in a template is filled in by `sample_text`."""

    nouns: tuple[str, ...]  # one a category
    aspects: tuple[Aspect, ...]
    wish: tuple[str, ...]  # templates with {a} and {b}, two wants
    opening: tuple[tuple[str, ...], ...]  # by stars 1..5, templates with {noun}
    filler: tuple[str, ...]
    headline: tuple[tuple[str, ...], ...]  # by stars 1..5
    listing: str  # first sentence of a description: {noun}, {brand}
    gap: str  # between sentences


def _aspect(want: str, first: str, second: str, third: str, lack: str) -> Aspect:
    return Aspect(want, (first, second, third), lack)


ENGLISH = Words(
    nouns=("lamp", "backpack", "kettle", "speaker", "chair", "watch", "tent", "keyboard", "fan", "stroller"),
    aspects=(
        _aspect("very light to carry", "It weighs almost nothing.", "So light that I forget I carry it.",
                "A real featherweight.", "It is far too heavy to carry."),
        _aspect("sturdy and hard to break", "It survived a fall down the stairs.", "Built like a tank.",
                "The frame is rugged and takes rough handling.", "It broke after one knock."),
        _aspect("waterproof", "Heavy rain runs off it and nothing gets wet.", "Fully waterproof, even under the shower.",
                "The seals keep every drop of water out.", "Water got in with the first rain."),
        _aspect("quiet", "It is silent, the baby sleeps right beside it.", "You hardly hear it at all.",
                "No hum and no rattle, just silence.", "It is terribly noisy."),
        _aspect("long-lasting on one charge", "The battery lasts for a whole week.",
                "I charge it once a month, the battery is endless.", "Huge battery life.",
                "The battery is empty after an hour."),
        _aspect("simple to set up", "Ready in two minutes without the manual.", "Set-up is child's play.",
                "Even my grandfather understood the controls at once.", "The set-up took me a whole evening."),
        _aspect("elegant with a wooden finish", "The walnut finish looks noble.", "Beautiful oak details.",
                "An elegant wooden design that fits the living room.", "The wood look is just printed plastic."),
        _aspect("bright and colourful", "The colours glow, a cheerful sight.", "Comes in a vivid yellow and pink.",
                "A rainbow of bright colours.", "The colours are dull and grey."),
        _aspect("compact and foldable", "It folds down to the size of a book.", "Fits into the smallest drawer.",
                "Collapses flat and takes up no room.", "It is bulky and cannot be folded."),
        _aspect("soft and cosy to the touch", "The fabric is fluffy and soft.", "Feels like velvet.",
                "A cosy, cuddly surface.", "The surface is scratchy."),
        _aspect("sustainable and recycled", "Made of recycled ocean plastic.", "No plastic wrapping, climate neutral.",
                "An eco-friendly product from renewable material.", "So much plastic waste in one box."),
        _aspect("easy to repair", "Every part can be bought and swapped with a screwdriver.",
                "Spare parts are on sale and the maker shows how to fix it.", "Nothing is glued, so I can mend it myself.",
                "Once broken it cannot be repaired."),
        _aspect("safe for small children", "No sharp edges, my toddler plays with it.", "The child lock works well.",
                "Kids cannot hurt their fingers.", "Dangerous for little children."),
        _aspect("comfortable for many hours", "My back does not ache even after a long day.",
                "The ergonomic shape supports the body.", "Comfortable for hours without sore wrists.",
                "It hurts after half an hour."),
        _aspect("precise and accurate", "It measures exactly to the millimetre.", "Every adjustment is razor sharp.",
                "Extremely accurate, never off the mark.", "Imprecise, it drifts all the time."),
        _aspect("energy saving", "It uses hardly any electricity.", "My power bill went down.",
                "The lowest consumption in its class.", "It eats electricity."),
        _aspect("easy to clean", "Goes into the dishwasher as it is.", "One wipe with a cloth and the dirt is gone.",
                "No corners where grime collects.", "Impossible to get clean."),
        _aspect("connected to my phone", "The app and Bluetooth connect at once.", "I control it from my smartphone.",
                "Wireless pairing with the phone works smoothly.", "The app never finds it."),
        _aspect("in a vintage style", "A nostalgic look straight from the fifties.", "Retro charm with brass knobs.",
                "It looks like an antique from my grandmother.", "The retro look is badly done."),
        _aspect("powerful and fast", "It has enormous power.", "Done in seconds, incredibly fast.",
                "Strong motor with plenty of reserves.", "Weak and slow."),
    ),
    wish=("I was looking for something {a} and {b}.", "What matters to me is that it is {a} and {b}.",
          "For me a thing has to be {a}, and above all {b}.", "I always choose what is {a} and {b}."),
    opening=(("This {noun} is a waste of money.", "I sent this {noun} back."),
             ("The {noun} disappointed me.", "Not the {noun} I had hoped for."),
             ("An average {noun}.", "The {noun} is all right."),
             ("A good {noun}.", "I like this {noun}."),
             ("The best {noun} I have owned.", "I love this {noun}!")),
    filler=("Delivery took three days.", "I bought it for my sister.", "The box was a little dented.",
            "The manual is in four languages.", "My old one had to go.", "I have had it for some weeks now.",
            "The seller answered my question.", "It was a present.", "I paid with a voucher.", "The price was fair."),
    headline=(("Never again", "Do not buy"), ("Disappointed", "Expected more"), ("It is okay", "Average"),
              ("Good buy", "Satisfied"), ("Excellent", "Perfect for me")),
    listing="The {noun} by {brand}.", gap=" ",
)  # fmt: skip

GERMAN = Words(
    nouns=("Lampe", "Tasche", "Kanne", "Musikbox", "Liege", "Armbanduhr", "Jacke", "Tastatur", "Pumpe", "Karre"),
    aspects=(
        _aspect("sehr leicht zu tragen", "Sie wiegt fast nichts.", "So leicht, dass ich sie beim Tragen vergesse.",
                "Ein echtes Fliegengewicht.", "Zum Tragen viel zu schwer."),
        _aspect("robust und unzerbrechlich", "Hat einen Sturz von der Treppe überstanden.", "Gebaut wie ein Panzer.",
                "Der Rahmen ist stabil und verträgt grobe Behandlung.", "Nach einem Stoß zerbrochen."),
        _aspect("wasserdicht", "Starker Regen perlt ab und nichts wird nass.", "Völlig wasserdicht, selbst unter der Dusche.",
                "Die Dichtungen halten jeden Tropfen Wasser ab.", "Beim ersten Regen lief Wasser hinein."),
        _aspect("leise", "Lautlos, das Baby schläft direkt daneben.", "Man hört sie kaum.",
                "Kein Brummen und kein Klappern, nur Stille.", "Furchtbar laut."),
        _aspect("ausdauernd mit einer Ladung", "Der Akku hält eine ganze Woche.", "Ich lade einmal im Monat, der Akku ist endlos.",
                "Riesige Akkulaufzeit.", "Der Akku ist nach einer Stunde leer."),
        _aspect("einfach einzurichten", "In zwei Minuten ohne Anleitung bereit.", "Die Einrichtung ist kinderleicht.",
                "Selbst mein Großvater verstand die Bedienung sofort.", "Die Einrichtung dauerte einen ganzen Abend."),
        _aspect("elegant mit Holzoberfläche", "Das Nussbaumholz wirkt edel.", "Schöne Details aus Eiche.",
                "Ein elegantes Holzdesign für das Wohnzimmer.", "Das Holz ist nur bedruckter Kunststoff."),
        _aspect("bunt und farbenfroh", "Die Farben leuchten, ein fröhlicher Anblick.", "Es gibt sie in kräftigem Gelb und Rosa.",
                "Ein Regenbogen heller Farben.", "Die Farben sind matt und grau."),
        _aspect("kompakt und faltbar", "Lässt sich auf Buchgröße zusammenfalten.", "Passt in die kleinste Schublade.",
                "Flach zusammengelegt braucht sie keinen Platz.", "Sperrig und nicht zu falten."),
        _aspect("weich und kuschelig", "Der Stoff ist flauschig und weich.", "Fühlt sich an wie Samt.",
                "Eine gemütliche, kuschelige Oberfläche.", "Die Oberfläche kratzt."),
        _aspect("nachhaltig und recycelt", "Aus recyceltem Meeresplastik gefertigt.", "Ohne Plastikverpackung und klimaneutral.",
                "Umweltfreundlich aus nachwachsendem Material.", "So viel Plastikmüll in einem Karton."),
        _aspect("leicht zu reparieren", "Jedes Teil lässt sich mit dem Schraubenzieher tauschen.",
                "Ersatzteile gibt es zu kaufen, der Hersteller zeigt die Reparatur.", "Nichts ist verklebt, ich repariere selbst.",
                "Einmal defekt, nie mehr zu reparieren."),
        _aspect("sicher für kleine Kinder", "Keine scharfen Kanten, mein Kleinkind spielt damit.", "Die Kindersicherung funktioniert gut.",
                "Kinder können sich die Finger nicht verletzen.", "Gefährlich für kleine Kinder."),
        _aspect("über viele Stunden bequem", "Auch nach einem langen Tag schmerzt der Rücken nicht.",
                "Die ergonomische Form stützt den Körper.", "Stundenlang bequem ohne wunde Gelenke.",
                "Nach einer halben Stunde tut es weh."),
        _aspect("präzise und genau", "Misst auf den Millimeter genau.", "Jede Einstellung sitzt haarscharf.",
                "Äußerst genau, nie daneben.", "Ungenau, verstellt sich ständig."),
        _aspect("stromsparend", "Verbraucht kaum Strom.", "Meine Stromrechnung ist gesunken.",
                "Der niedrigste Verbrauch der Klasse.", "Frisst Strom."),
        _aspect("leicht zu reinigen", "Kommt so in die Spülmaschine.", "Einmal abwischen und der Schmutz ist weg.",
                "Keine Ecken, in denen sich Dreck sammelt.", "Nicht sauber zu bekommen."),
        _aspect("mit dem Handy verbunden", "App und Bluetooth verbinden sich sofort.", "Ich steuere alles vom Smartphone.",
                "Die drahtlose Kopplung mit dem Handy klappt reibungslos.", "Die App findet sie nie."),
        _aspect("im alten Stil gehalten", "Ein nostalgischer Anblick aus den Fünfzigern.", "Retro-Charme mit Messingknöpfen.",
                "Sieht aus wie ein Erbstück meiner Großmutter.", "Der Retro-Stil ist schlecht gemacht."),
        _aspect("kraftvoll und schnell", "Hat enorme Kraft.", "In Sekunden fertig, unglaublich schnell.",
                "Starker Motor mit viel Reserve.", "Schwach und langsam."),
    ),
    wish=("Ich suchte etwas, das {a} und {b} ist.", "Mir ist wichtig, dass ein Gerät {a} und {b} ist.",
          "Für mich muss es {a} sein, vor allem aber {b}.", "Ich wähle immer, was {a} und {b} ist."),
    opening=(("Diese {noun} ist Geldverschwendung.", "Ich habe diese {noun} zurückgeschickt."),
             ("Die {noun} hat mich enttäuscht.", "Nicht die {noun}, die ich erhofft hatte."),
             ("Eine durchschnittliche {noun}.", "Die {noun} ist in Ordnung."),
             ("Eine gute {noun}.", "Ich mag diese {noun}."),
             ("Die beste {noun}, die ich je hatte.", "Ich liebe diese {noun}!")),
    filler=("Die Lieferung dauerte drei Tage.", "Ich habe sie für meine Schwester gekauft.", "Der Karton war etwas verbeult.",
            "Die Anleitung gibt es in vier Sprachen.", "Die alte musste weg.", "Ich habe sie seit einigen Wochen.",
            "Der Verkäufer hat meine Frage beantwortet.", "Es war ein Geschenk.", "Ich zahlte mit einem Gutschein.",
            "Der Preis war fair."),
    headline=(("Nie wieder", "Nicht kaufen"), ("Enttäuscht", "Mehr erwartet"), ("Ganz okay", "Durchschnitt"),
              ("Guter Kauf", "Zufrieden"), ("Hervorragend", "Perfekt für mich")),
    listing="Die {noun} von {brand}.", gap=" ",
)  # fmt: skip

CHINESE = Words(
    nouns=("台灯", "背包", "水壶", "音箱", "椅子", "手表", "帐篷", "键盘", "风扇", "推车"),
    aspects=(
        _aspect("轻便好拿", "几乎没有重量。", "轻得让我忘了自己背着它。", "真正的轻量级产品。", "太重了,根本拿不动。"),
        _aspect("结实耐摔", "从楼梯上摔下来也没坏。", "坚固得像坦克。", "框架牢固,经得起粗暴使用。", "碰了一下就坏了。"),
        _aspect("防水", "大雨淋过里面一点不湿。", "完全防水,淋浴时也能用。", "密封圈滴水不漏。", "第一场雨就进水了。"),
        _aspect("安静", "没有声音,宝宝在旁边也能睡。", "几乎听不到噪音。", "没有嗡嗡声,非常静音。", "噪音大得可怕。"),
        _aspect("续航长久", "电池可以用整整一周。", "一个月充一次电,续航惊人。", "电池容量巨大。", "一个小时就没电了。"),
        _aspect("安装简单", "不看说明书两分钟就装好。", "设置像玩一样容易。", "连爷爷都马上会操作。", "安装花了我一整晚。"),
        _aspect("有优雅的木质外观", "胡桃木的质感很高贵。", "橡木细节很漂亮。", "优雅的木纹设计很配客厅。", "木纹只是印在塑料上的。"),
        _aspect("色彩鲜艳", "颜色亮丽,看着开心。", "有鲜黄色和粉红色。", "像彩虹一样缤纷。", "颜色灰暗。"),
        _aspect("小巧可折叠", "折起来只有一本书大。", "能放进最小的抽屉。", "可以压平,不占地方。", "又大又不能折叠。"),
        _aspect("柔软舒适", "面料毛茸茸的很柔软。", "摸起来像天鹅绒。", "表面温暖亲肤。", "表面很扎手。"),
        _aspect("环保可回收", "用回收的海洋塑料制成。", "没有塑料包装,碳中和。", "可再生材料,十分环保。", "一个盒子里全是塑料垃圾。"),
        _aspect("容易维修", "每个零件都能用螺丝刀更换。", "配件有售,厂家教你修理。", "没有胶水,自己就能修。", "坏了就没法修。"),
        _aspect("对小孩安全", "没有尖角,小孩可以玩。", "儿童锁很好用。", "孩子不会夹到手指。", "对幼儿很危险。"),
        _aspect("久用也不累", "用了一整天腰背也不痛。", "人体工学形状支撑身体。", "连续几小时手腕不酸。", "半小时就痛了。"),
        _aspect("精确", "测量精确到毫米。", "每次调节都分毫不差。", "极其准确,从不出错。", "不准,总是偏。"),
        _aspect("省电", "几乎不耗电。", "我的电费降了。", "同类中能耗最低。", "非常费电。"),
        _aspect("容易清洗", "可以直接放进洗碗机。", "用布一擦污渍就没了。", "没有藏污的角落。", "怎么也洗不干净。"),
        _aspect("能连接手机", "应用和蓝牙马上连上。", "我用智能手机控制它。", "与手机无线配对很顺畅。", "应用总是找不到它。"),
        _aspect("复古风格", "五十年代的怀旧外观。", "黄铜旋钮很有复古魅力。", "像奶奶家的古董。", "复古做得很差。"),
        _aspect("强劲快速", "动力十足。", "几秒完成,快得惊人。", "马达强大,后劲充足。", "又弱又慢。"),
    ),
    wish=("我想要{a}而且{b}的东西。", "对我来说{a}和{b}最重要。", "我买东西首先要{a},尤其要{b}。", "我总是选{a}又{b}的。"),
    opening=(("这个{noun}浪费钱。", "我把这个{noun}退了。"), ("这个{noun}让我失望。", "不是我期待的{noun}。"),
             ("普通的{noun}。", "这个{noun}还行。"), ("不错的{noun}。", "我喜欢这个{noun}。"),
             ("用过的最好的{noun}。", "我太爱这个{noun}了!")),
    filler=("快递用了三天。", "给姐姐买的。", "盒子有点压坏。", "说明书有四种语言。", "旧的该换了。", "已经用了几个星期。",
            "卖家回答了我的问题。", "是一份礼物。", "我用优惠券付的款。", "价格公道。"),
    headline=(("再也不买", "不要买"), ("失望", "期望更高"), ("还可以", "一般"), ("值得买", "满意"), ("非常好", "很适合我")),
    listing="{brand}的{noun}。", gap="",
)  # fmt: skip

LANGUAGES = {"en": ENGLISH, "de": GERMAN, "zh": CHINESE}
N_ASPECTS = len(ENGLISH.aspects)
N_CATEGORIES = len(ENGLISH.nouns)
#: Letters are drawn for brands, so that no brand means anything to an encoder.
SYLLABLES = ("vo", "ri", "ta", "ne", "lu", "ka", "mo", "zi", "pe", "sa", "do", "fe", "gu", "ha", "bi", "xo")
