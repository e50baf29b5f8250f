"""The closed world of the storybook: everything a scene can show, in English and Chinese.

Held as plain data so that drawing, captions, training and tests all read one list.
"""

from dataclasses import dataclass
from typing import Final

__all__ = [
    "COLOURS",
    "COLOURS_ZH",
    "NUMBERS_EN",
    "NUMBERS_ZH",
    "OBJECTS",
    "SETTINGS",
    "SIGN",
    "SIGN_WORDS",
    "STYLES",
    "Noun",
    "Phrase",
]


@dataclass(frozen=True)
class Noun:
    """An object that can be drawn: English singular and plural, Chinese name, measure word."""

    one: str
    many: str
    zh: str
    measure: str


@dataclass(frozen=True)
class Phrase:
    """A setting or style: how it reads in a sentence ("on a beach"), its terse form, synonyms."""

    en: str
    zh: str
    terse: str
    terse_zh: str
    others: tuple[str, ...] = ()
    others_zh: tuple[str, ...] = ()


OBJECTS: Final[dict[str, Noun]] = {
    noun.one: noun
    for noun in (
        # animals
        Noun("cat", "cats", "猫", "只"),
        Noun("dog", "dogs", "狗", "只"),
        Noun("rabbit", "rabbits", "兔子", "只"),
        Noun("bird", "birds", "鸟", "只"),
        Noun("fish", "fish", "鱼", "条"),
        Noun("duck", "ducks", "鸭子", "只"),
        Noun("turtle", "turtles", "乌龟", "只"),
        Noun("butterfly", "butterflies", "蝴蝶", "只"),
        Noun("snail", "snails", "蜗牛", "只"),
        Noun("owl", "owls", "猫头鹰", "只"),
        # food and plants
        Noun("apple", "apples", "苹果", "个"),
        Noun("banana", "bananas", "香蕉", "根"),
        Noun("carrot", "carrots", "胡萝卜", "根"),
        Noun("cake", "cakes", "蛋糕", "个"),
        Noun("ice cream", "ice creams", "冰淇淋", "支"),
        Noun("mushroom", "mushrooms", "蘑菇", "个"),
        Noun("flower", "flowers", "花", "朵"),
        Noun("tree", "trees", "树", "棵"),
        Noun("cactus", "cactuses", "仙人掌", "棵"),
        Noun("leaf", "leaves", "叶子", "片"),
        # vehicles
        Noun("car", "cars", "汽车", "辆"),
        Noun("bus", "buses", "公交车", "辆"),
        Noun("bicycle", "bicycles", "自行车", "辆"),
        Noun("boat", "boats", "帆船", "艘"),
        Noun("airplane", "airplanes", "飞机", "架"),
        Noun("rocket", "rockets", "火箭", "枚"),
        Noun("train", "trains", "火车", "列"),
        Noun("hot-air balloon", "hot-air balloons", "热气球", "个"),
        # things
        Noun("house", "houses", "房子", "座"),
        Noun("umbrella", "umbrellas", "雨伞", "把"),
        Noun("chair", "chairs", "椅子", "把"),
        Noun("table", "tables", "桌子", "张"),
        Noun("lamp", "lamps", "台灯", "盏"),
        Noun("clock", "clocks", "时钟", "个"),
        Noun("book", "books", "书", "本"),
        Noun("cup", "cups", "杯子", "个"),
        Noun("bottle", "bottles", "瓶子", "个"),
        Noun("guitar", "guitars", "吉他", "把"),
        Noun("ball", "balls", "皮球", "个"),
        Noun("kite", "kites", "风筝", "只"),
        Noun("hat", "hats", "帽子", "顶"),
        Noun("shoe", "shoes", "鞋子", "只"),
        Noun("key", "keys", "钥匙", "把"),
        Noun("star", "stars", "星星", "颗"),
        Noun("heart", "hearts", "爱心", "颗"),
        Noun("bell", "bells", "铃铛", "个"),
        Noun("gift", "gifts", "礼物", "份"),
        Noun("robot", "robots", "机器人", "个"),
    )
}

SIGN: Final = Noun("sign", "signs", "牌子", "块")
"""A board with a word on it; the only object that carries text."""

COLOURS: Final[dict[str, tuple[int, int, int]]] = {
    "red": (217, 45, 40),
    "orange": (240, 134, 30),
    "yellow": (247, 210, 50),
    "green": (62, 158, 70),
    "blue": (45, 100, 210),
    "purple": (125, 65, 170),
    "pink": (245, 140, 185),
    "brown": (125, 80, 45),
    "black": (38, 38, 42),
    "white": (250, 250, 250),
}

COLOURS_ZH: Final[dict[str, str]] = {
    "red": "红色",
    "orange": "橙色",
    "yellow": "黄色",
    "green": "绿色",
    "blue": "蓝色",
    "purple": "紫色",
    "pink": "粉色",
    "brown": "棕色",
    "black": "黑色",
    "white": "白色",
}

SETTINGS: Final[dict[str, Phrase]] = {
    "meadow": Phrase(
        "in a sunny meadow", "在阳光下的草地上", "meadow", "草地", ("on the grass",), ("在草地上",)
    ),
    "night": Phrase(
        "at night under the moon", "在月光下的夜晚", "night", "夜晚", ("at night",), ("在晚上",)
    ),
    "beach": Phrase(
        "on a beach by the sea",
        "在海边的沙滩上",
        "beach",
        "海边",
        ("by the sea", "on the beach"),
        ("在海边", "在沙滩上"),
    ),
    "snow": Phrase("in the snow", "在雪地里", "snow", "雪地", ("in winter",), ("在冬天的雪中",)),
    "street": Phrase(
        "on a city street", "在城市的街道上", "street", "街道", ("in the city",), ("在城市里",)
    ),
    "room": Phrase("inside a room", "在房间里", "room", "房间", ("indoors",), ("在室内",)),
    "forest": Phrase("in a forest", "在森林里", "forest", "森林", ("in the woods",), ("在树林里",)),
    "desert": Phrase(
        "in the desert", "在沙漠里", "desert", "沙漠", ("among sand dunes",), ("在沙丘之间",)
    ),
    "rain": Phrase("in the rain", "在雨中", "rain", "下雨", ("on a rainy day",), ("在下雨天",)),
    "sunset": Phrase(
        "at sunset", "在日落时分", "sunset", "日落", ("in the evening sun",), ("在夕阳下",)
    ),
    "underwater": Phrase(
        "under water", "在水下", "underwater", "水下", ("at the bottom of the sea",), ("在海底",)
    ),
    "space": Phrase(
        "in outer space", "在太空中", "space", "太空", ("among the stars",), ("在宇宙里",)
    ),
}

STYLES: Final[dict[str, Phrase]] = {
    "flat": Phrase("a flat illustration", "扁平插画", "flat illustration", "扁平插画"),
    "cartoon": Phrase("a cartoon", "卡通画", "cartoon", "卡通"),
    "crayon": Phrase("a crayon drawing", "蜡笔画", "crayon drawing", "蜡笔画"),
    "pixel": Phrase("a pixel-art picture", "像素画", "pixel art", "像素画"),
    "watercolour": Phrase("a watercolour", "水彩画", "watercolour", "水彩画"),
}

NUMBERS_EN: Final = {1: "one", 2: "two", 3: "three", 4: "four"}
NUMBERS_ZH: Final = {1: "一", 2: "两", 3: "三", 4: "四"}

# fmt: off
SIGN_WORDS: Final[tuple[str, ...]] = (
    "OPEN", "CLOSED", "EXIT", "STOP", "SALE", "CAFE", "HOTEL", "BANK", "MILK", "BREAD", "TEA",
    "SOUP", "JUICE", "PIZZA", "RICE", "SALT", "SUGAR", "HONEY", "LEMON", "MANGO", "PARK", "ZOO",
    "FARM", "SCHOOL", "MUSEUM", "LIBRARY", "MUSIC", "DANCE", "CINEMA", "GAME", "TOYS", "SHOES",
    "BOOKS", "FLOWERS", "PHONE", "TAXI", "SUBWAY", "AIRPORT", "TICKETS", "PARKING", "NORTH",
    "SOUTH", "EAST", "WEST", "SLOW", "FAST", "DANGER", "WET", "HOT", "COLD", "FREE", "NEW", "HELLO",
    "WELCOME", "THANKS", "PLEASE", "QUIET", "LOVE", "PEACE", "DREAM", "MAGIC", "LUCKY", "HAPPY",
    "PARTY", "SUMMER", "WINTER",
)
# fmt: on
