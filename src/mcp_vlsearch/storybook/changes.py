"""One-step changes of a scene, and the words that ask for them ("but at night").

They make the near misses that teach a model which attribute belongs to which object, and the
composed queries (picture + text) that search has to answer.
"""

import random
from dataclasses import dataclass, replace

from mcp_vlsearch.storybook.captions import Language
from mcp_vlsearch.storybook.scene import Item, Scene, held_out
from mcp_vlsearch.storybook.vocabulary import (
    COLOURS,
    COLOURS_ZH,
    OBJECTS,
    SETTINGS,
    SIGN_WORDS,
    STYLES,
)

__all__ = ["Change", "change"]


@dataclass(frozen=True)
class Change:
    """A changed scene, and how a person would ask for it, by language."""

    scene: Scene
    request: dict[Language, str]


def change(scene: Scene, rng: random.Random) -> Change:
    """Change one thing: setting, style, an item's colour, kind or word, or two items' places.

    Never makes a held-out object–colour pair.
    """
    kinds = ["setting", "style", "item", "item"]
    if len(scene.items) > 1:
        kinds.append("swap")
    match rng.choice(kinds):
        case "setting":
            return _change_setting(scene, rng)
        case "style":
            return _change_style(scene, rng)
        case "swap":
            return _swap(scene)
        case _:
            return _change_item(scene, rng)


def _change_setting(scene: Scene, rng: random.Random) -> Change:
    setting = rng.choice([s for s in SETTINGS if s != scene.setting])
    phrase = SETTINGS[setting]
    return Change(
        replace(scene, setting=setting), {"en": f"but {phrase.en}", "zh": f"但是{phrase.zh}"}
    )


def _change_style(scene: Scene, rng: random.Random) -> Change:
    style = rng.choice([s for s in STYLES if s != scene.style])
    phrase = STYLES[style]
    return Change(
        replace(scene, style=style), {"en": f"but as {phrase.en}", "zh": f"但是改成{phrase.zh}"}
    )


def _swap(scene: Scene) -> Change:
    first, *middle, last = scene.items
    items = (replace(last, place=first.place), *middle, replace(first, place=last.place))
    swapped = replace(scene, items=items)
    return Change(swapped, {"en": "but with their places swapped", "zh": "但是位置互换"})


def _change_item(scene: Scene, rng: random.Random) -> Change:
    position = rng.randrange(len(scene.items))
    item = scene.items[position]
    if item.word:
        changed, request = _change_word(item, rng)
    elif rng.random() < 0.5:
        changed, request = _change_colour(item, rng)
    else:
        changed, request = _change_kind(item, {i.kind for i in scene.items}, rng)
    items = (*scene.items[:position], changed, *scene.items[position + 1 :])
    return Change(replace(scene, items=items), request)


def _change_word(item: Item, rng: random.Random) -> tuple[Item, dict[Language, str]]:
    word = rng.choice([w for w in SIGN_WORDS if w != item.word])
    return replace(item, word=word), {
        "en": f'but the sign says "{word}"',
        "zh": f"但是牌子上写着“{word}”",
    }


def _change_colour(item: Item, rng: random.Random) -> tuple[Item, dict[Language, str]]:
    colour = rng.choice([c for c in COLOURS if c != item.colour and not held_out(item.kind, c)])
    noun = OBJECTS[item.kind]
    subject = f"{noun.one} is" if item.count == 1 else f"{noun.many} are"
    return replace(item, colour=colour), {
        "en": f"but the {subject} {colour}",
        "zh": f"但是{noun.zh}是{COLOURS_ZH[colour]}的",
    }


def _change_kind(
    item: Item, taken: set[str], rng: random.Random
) -> tuple[Item, dict[Language, str]]:
    kind = rng.choice([k for k in OBJECTS if k not in taken and not held_out(k, item.colour)])
    old, new = OBJECTS[item.kind], OBJECTS[kind]
    wanted = f"{'an' if new.one[0] in 'aeiou' else 'a'} {new.one}" if item.count == 1 else new.many
    return replace(item, kind=kind), {
        "en": f"but {wanted} instead of the {old.one if item.count == 1 else old.many}",
        "zh": f"但是把{old.zh}换成{new.zh}",
    }
