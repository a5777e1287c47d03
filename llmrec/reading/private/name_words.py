# ruff: noqa: E501, SIM905 - lines of data
"""Words by which names are known: common given names, endings and beginnings of surnames, and what stands around them."""

#: Given names that are seldom anything else, in scripts that know capitals.
GIVEN = frozenset(
    """
Aaron Adam Adrian Ahmed Alan Albert Alejandro Alessandro Alex Alexander Alexandra Alfred Ali Alice Alicia Allison Amanda Amelia Amy Ana
Andrea Andreas Andrew Angela Angelina Anita Anja Ann Anna Anne Annette Antonio Arthur Ashley Barbara Beatrice Ben Benjamin Bernard
Bernd Betty Birgit Bob Brandon Brenda Brian Bruce Bryan Camille Carl Carla Carlos Carmen Carol Caroline Catherine Cathy Charles
Charlotte Chloe Chris Christian Christina Christine Christopher Claire Clara Claudia Craig Cristina Cynthia Dan Daniel Daniela
David Deborah Debra Denise Dennis Diana Diane Diego Dmitri Donald Donna Doris Dorothy Doug Douglas Edward Eileen Elena Elizabeth Ellen
Emily Emma Enrique Eric Erik Erika Eva Evelyn Fabio Fatima Felix Fernando Florian Francesca Francesco Francisco Frank Franz Frederick
Gabriel Gary George Gerald Gerhard Giovanni Giulia Giuseppe Gloria Gregory Guillaume Hannah Hans Harold Heather Heidi Heike Helen Helga
Henry Holger Howard Ibrahim Ingrid Isabel Isabella Ivan Jacob Jacqueline James Jan Jane Janet Janice Jason Javier Jean Jeff Jeffrey
Jennifer Jeremy Jessica Jim Joan Joe Johan Johanna John Jonathan Jorge Jose José Joseph Joshua Juan Judith Judy Julia Julian Julie
Justin Karen Karin Karl Katarzyna Kathleen Kathryn Katja Keith Kelly Kenneth Kevin Kimberly Klaus Kyle Larry Laura Lauren Laurent Lars
Leonardo Linda Lisa Louis Louise Luca Lucas Lucia Luis Luisa Lukas Marco Marcus Margaret Maria María Marie Marina Mario Marion
Martha Martin Martina Mary Mateo Matteo Matthew Matthias Megan Mehmet Melissa Michael Michaela Michelle Miguel Mike Mohamed Mohammed
Monica Monika Mustafa Nadia Nancy Natalia Natalie Nathalie Nathan Nicholas Nicole Nina Olga Oliver Olivia Oscar Pablo Pamela Patricia
Patrick Paul Paula Paulo Pedro Peter Petra Philip Philippe Pierre Piotr Rachel Rafael Raymond Rebecca Renate Ricardo Richard
Robert Roberto Roger Ronald Rosa Ruth Ryan Sabine Sally Samantha Samuel Sandra Sara Sarah Scott Sebastian Sergio Sharon Shirley
Silvia Simon Simone Sofia Sophia Sophie Stefan Stefanie Stephanie Stephen Steve Steven Susan Susanne Svetlana Sylvia Tanja Teresa
Theresa Thomas Tim Timothy Tina Tobias Tom Tomasz Tony Ursula Uwe Valentina Vanessa Veronica Victor Victoria Vincent Virginia Walter
Wayne Werner William Wolfgang Yasmin Yvonne
Александр Александра Алексей Алина Алла Анастасия Анатолий Андрей Анна Антон Артём Борис Вадим Валентина Валерий Василий Вера Виктор
Виктория Виталий Владимир Галина Георгий Григорий Дарья Денис Дмитрий Евгений Евгения Екатерина Елена Иван Игорь Илья Ирина
Константин Ксения Лариса Леонид Людмила Максим Марина Мария Михаил Надежда Наталья Никита Николай Оксана Олег Ольга Павел Пётр Роман
Светлана Сергей Станислав Степан Тамара Татьяна Фёдор Юлия Юрий Яна Ярослав Микола Олександр Олена Тарас Георги Димитър
Γιώργος Γιάννης Δημήτρης Κώστας Νίκος Μαρία Ελένη Κατερίνα Σοφία
""".split()
)
#: Endings of surnames that few other words have; a run of two capitalised words with one of them is a name.
SURNAME_ENDINGS = (
    r"(?:ов|ова|ев|ева|ёв|ёва|ин|ина|ын|ына|ский|ская|ський|ська|цкий|цкая|енко|чук|ук|юк|ян|дзе|швили|ович|евич|овна|евна|ски|ска|"
    r"wicz|ski|ska|cki|cka|czyk|ović|ević|escu|oğlu|opoulos|όπουλος|οπούλου|άκης|ίδης|ίδου|άδης)"
)
#: What comes before a name, in languages that know capitals; one name or several follow.
INTRODUCED = (
    r"my name is|my name's|my names|i am called|i'm called|the name is|mein name ist|ich heiße|ich heisse|je m'appelle|mon nom est|me llamo|mi nombre es|"
    r"mi chiamo|il mio nome è|me chamo|meu nome é|mam na imię|nazywam się|jag heter|mijn naam is|ik heet|benim adım|ismim|"
    r"меня зовут|моё имя|мое имя|мене звати|моє ім'я|казвам се|името ми е|με λένε|το όνομά μου είναι"
)
TITLES = (
    r"mr|mrs|ms|miss|mister|dr|prof|professor|herr|herrn|frau|monsieur|madame|mme|mlle|señor|señora|sr|sra|signor|signora|sig|pan|pani|senhor|"
    r"senhora|bay|bayan|fru|г-н|г-жа|господин|госпожа|пан|пані|κύριος|κυρία|κύριο"
)
_RELATIVES = (
    r"friend|wife|husband|son|daughter|brother|sister|mother|father|mom|dad|boss|teacher|colleague|neighbou?r|uncle|aunt|cousin|grandson|"
    r"granddaughter|boyfriend|girlfriend|partner|buddy|student|nephew|niece|instructor|bandmate"
)
#: Words that begin with a capital where they are none: a name neither begins nor ends with one.
COMMON = frozenset(
    """
I It Its My We You He She They The This That These Those A An As At In On Of Or And But So If Then When What Who How Why Not No Yes Now Very
All Also Another After Before Because Be Is Was Are Do Does Did Don't Can Can't Could Will Would Get Got Just Like Only Great Good Nice
Love Best Thanks Thank Guys Everyone Amazon Ebay There Here With Without For From To By Your Our Their His Her One Two First Highly Works
Easy Overall Still Even Well Buy Must Perfect Excellent Awesome Cheap Product Quality Price Sound Sounds Strings Guitar Bass
""".split()
)
#: Before a name of two words or more.
MET = (
    r"(?:gave|give|giving|gifted|sold|lent|showed|passed|sent|belongs|belonged) (?:(?:it|this|them|one|mine|his|hers|that) )?to|"
    r"(?:bought|ordered|got|purchased|picked) (?:(?:it|this|them|one|these) )?(?:up )?for|(?:jam|jammed|play|played|lives?|rehearse) with|"
    rf"(?:my|our|his|her) (?:\w+ )?(?:{_RELATIVES}),?|(?:spoke|speak|talked|talk|dealt) (?:to|with)|thanks(?: to| again)?,?|thank you,?|ask for|asked for|contact|"
    r"contacted|emailed|phoned|named|dear|hello|hi|attn:?|c/o|(?:sold|packed|written|recommended|answered|signed|served|handled|shipped) by|"
    r"(?:meine?|unsere?) (?:freund|freundin|frau|mann|sohn|tochter|bruder|schwester|kollege|kollegin|nachbar)|danke an|danke,|"
    r"mon ami|mon amie|ma femme|mon mari|merci à|mi amigo|mi amiga|mi esposa|mi marido|gracias a|il mio amico|la mia amica|grazie a|"
    r"meu amigo|minha amiga|obrigado a|obrigada a|mój przyjaciel|dziękuję|"
    r"мой друг|моя подруга|моя жена|мой муж|спасибо|спасибі|благодаря|мій друг|благодаря на|φίλος μου|ευχαριστώ"
)
#: Behind a name of two words or more: what people do, and products seldom.
DID = (
    r"(?:has |had |have |a |hat |mi ha |me |m'a |ha )?(?:kindly |quickly |really |also )?(?:said|told|helped me|helped us|helped|answered|replied|responded|wrote|called me|phoned|emailed|recommended|suggested|explained|promised|apologi[sz]ed|"
    r"was (?:very |so |really |extremely |incredibly )?(?:kind|helpful|rude|friendly|polite|patient)|"
    r"from (?:customer|support|sales|tech|the shop|the store)|who |and (?:i|he|she) |came |thinks |thought |asked |loves (?:it|this)|likes? (?:it|this)|"
    r"liked (?:it|this)|loved (?:it|this)|lives |hat mir|half mir|sagte|schrieb|empfahl|antwortete|m'a aidé|m'a répondu|répondu|aidé|"
    r"ayudó|dijo|respondió|recomendó|aiutato|risposto|detto|consigliato|ajudou|respondeu|pomógł|pomogła|powiedział|poleciła?|hjälpte|svarade|"
    r"yardım etti|dedi|помог|помогла|сказал|сказала|ответил|ответила|посоветовал|посоветовала|написал|написала|допоміг|допомогла|порадив|"
    r"порадила|помогна|каза|препоръча|βοήθησε|είπε|σύστησε)"
)
#: Before the last words of a text that sign it.
CLOSING = (
    r"regards|best|best wishes|sincerely|yours|yours truly|cheers|love|thanks|signed|signature|grüße|viele grüße|mfg|liebe grüße|cordialement|bien à vous|saludos|"
    r"atentamente|saluti|abraços|atenciosamente|pozdrawiam|hälsningar|saygılarımla|с уважением|подпись|з повагою|поздрави|με εκτίμηση|"
    r"مع تحياتي|تحياتي|التوقيع|सादर|धन्यवाद|署名|落款|签名|敬具|より|드림|올림|בברכה|חתום"
)
#: Surnames of one and of two characters, the most frequent first.
HAN_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许邓冯韩曹曾彭萧肖蔡潘田董袁于余叶蒋杜苏魏程吕丁沈任姚卢傅钟姜崔谭廖范汪陆金石戴贾韦夏邱方侯邹熊孟秦白江阎薛尹段雷黎史龙陶贺"
    "顾毛郝龚邵万钱严赖覃洪武莫孔汤向常温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳管柴蒙鲍华喻祁"
    "張劉陳楊黃趙吳孫馬鄭謝許鄧馮韓蔡葉蔣蘇魏呂盧鍾譚陸閻龍賀顧龔萬錢嚴賴"
)
HAN_DOUBLE = "欧阳|司马|上官|诸葛|夏侯|皇甫|尉迟|公孙|慕容|令狐|长孙|宇文|司徒|端木"
#: Words that begin as surnames do, and are no names.
HAN_WORDS = "包装|包邮|安排|安装|高兴|常常|方面|方便|成功|应该|顾客|温柔|关于|白色|金色|万一|于是|何时|何必|马上|严重|路上|明明|单位|全部|强烈|水|时候|文件|连|池"
#: Surnames that open a Korean name.
HANGUL_SURNAMES = "김이박최정강조윤장임한오서신권황안송류전홍고문양손배백허유남심노하곽성차주우구민진지엄채원천방공현함변염여추도소석선설마길연위표명기반왕금옥육인맹제모"
