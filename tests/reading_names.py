# ruff: noqa: E501 - lines of data
"""200 names of people in seven scripts, drawn by Faker (seeds 7, 11), none of whose parts is in our own word lists."""

#: Language -> given and surname, "_" standing for a blank.
NAMES = {
    "en": (
        "Troy|Reyes Brandy|Orozco Jerry|Johnson Phillip|Hunter Evan|Reynolds Shannon|Adams Johnny|Reed "
        "Leslie|Larsen Traci|Hernandez Brent|Harris Troy|Davenport Shaun|Ferguson Bradley|Conley "
        "Bethany|Bryant Crystal|Gentry Lori|Green Jesus|Washington Zachary|Morgan Caleb|Galloway "
        "Zachary|Williamson Brandy|Strong Loretta|Singh Kelsey|Romero Lori|Hicks Mark|Walker Haley|Coleman "
        "Michele|Roberts Lori|Reynolds Kathy|Berry Marvin|Owen"
    ),
    "it": (
        "Costantino|Morpurgo Riccardo|Necci Gianni|Coppola Ivo|Bonomo Edoardo|Prati Augusto|Federici "
        "Domenico|Granatelli Calcedonio|Impastato Livia|Togliatti Caterina|Golgi"
    ),
    "pl": (
        "Patryk|Kwapień Ksawery|Merda Hubert|Maciejewicz Stanisław|Grygorowicz Cyprian|Augustynek "
        "Rozalia|Piaścik Witold|Koloch Mieszko|Haponiuk Jacek|Truchan Dariusz|Betka"
    ),
    "tr": (
        "Yıldır|Çamurcuoğlu Maşide|Hançer Muhip|Aksu Baytal|Hayrioğlu Gökay|Duran Aykut|Arslan Haciali|Ergül "
        "Aliseydi|Erdoğan Nurser|Bilir Cantez|Sezgin"
    ),
    "de": (
        "Regina|Etzler Undine|Schönland Necati|Barkholz Jochen|Gude Cora|Bolander Karl-Friedrich|Mentzel "
        "Hellmut|Reichmann Hannelore|Matthäi Francoise|Speer Marlene|Hauffer Enrico|Zirme Zdravko|Schacht "
        "Burkhardt|Grein_Groth Frieda|Rust Tania|Killer"
    ),
    "fr": (
        "Rémy|Rivière Émile|Raynaud Odette|Bourgeois Claude|Labbé Éric|Grenier Emmanuel|Lopes Colette|Delorme "
        "Valentine|Cohen Léon|Lecomte Chantal|Bègue Maryse|Moreau Marguerite|Bailly Émilie|Humbert "
        "Isaac|Blondel Adèle|Marchal"
    ),
    "es": (
        "Cruz|Sastre Julio_César|Alegria Alondra|Mesa Maxi|Español Norberto|Robledo Fabiana|Borrego "
        "Manu|Landa Berta|Valverde Ainoa|Casado Alejandra|Cuéllar Gustavo|Palacios Sol|Barberá "
        "Miguela|Carvajal Sabina|Velasco Valero|Cámara"
    ),
    "ru": (
        "Соломон|Власов Фёкла|Никифоров Мир|Мартынова Тимур|Фролов Максимильян|Павлова Фаина|Третьяков "
        "Регина|Зимин Гремислав|Поляков Селиван|Одинцов Прохор|Егоров Варфоломей|Воробьева Натан|Субботина "
        "Панкрат|Дмитриев Захар|Марков Софон|Стрелкова Мирон|Колесникова Азарий|Лихачева Феофан|Крылов "
        "Силантий|Фролова Василиса|Абрамов Сильвестр|Котов Твердислав|Красильников Ярополк|Капустин "
        "Руслан|Быков Виссарион|Кузьмина"
    ),
    "zh": (
        "建国|刘 秀云|陈 玉梅|杨 建军|潘 红梅|侯 春梅|李 玉英|王 秀珍|郑 玉珍|牟 桂芳|胡 桂花|袁 玉兰|汪 小红|陈 淑华|刘 金凤|黄 志强|黄 春梅|古 红梅|王 红霞|陆 桂花|李 "
        "秀华|贾 淑华|潘 建华|阎 桂英|杨 桂珍|吴"
    ),
    "ar": (
        "غازي|شربتلي روفيدا|الجفالي ساطع|الخرافي قنوع|آل_عواض فائق|الدباغ خميس|آل_حسين زكي|الراشد "
        "يافع|بن_لادن ماذى|آل_جعفر عبد_الحكيم|العقيل هيكل|الدباغ رمضان|بقشان هناء|آل_العسكري ظاعن|آل_حسين "
        "فتوح|آل_سلطان صائب|آل_قصير اصيل|بقشان ظهير|الشايع صبري|المغاولة سهل|الجفالي"
    ),
    "hi": (
        "जौहर|तमांग निखिला|सिंह अरुणा|चौहान चन्दना|मैती काशी|वर्मा रानी|कुमार प्रदीप|भट सुदर्शना|गुरुंग "
        "सावित्री|चोपरा प्रभात|अहलूवालिया इला|चक्रवर्ती सरला|अरोरा सावित्री|महरा माधव|बुरुाह शशी|झादव"
    ),
    "ja": ("拓真|渡辺 洋介|村上 春香|吉田 修平|加藤 千代|太田"),
    "ko": ("은정|한 민서|김 경자|노 지현|황 상현|전"),
}
