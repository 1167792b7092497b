"""Scenes of the second kind: small colour pictures of things with plain names, on the same backgrounds.

The pictures are those of the font Noto Color Emoji; nothing else differs from `tamis.vision.scenes`. The split `ood`
has other sizes, turns its pictures further, tints them more, and has more things and more specks.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image, ImageDraw, ImageFont

from tamis.core.errors import FileError
from tamis.core.seed import derive
from tamis.vision.dice import Dice
from tamis.vision.questions import COUNTS, TRUTH, Pool, Questions, ask_exists, choose, one_of, unique
from tamis.vision.scenes import (
    CELLS,
    GRID,
    HARD,
    HUES,
    LABELS,
    OBJECTS,
    SIZES,
    Scenes,
    backdrop,
    cast,
    distract,
    handicap,
    join,
    pieces_of,
    seat,
    stamp,
)

_PICTURES = """
🐶 dog 🐱 cat 🐭 mouse 🐰 rabbit 🦊 fox 🐻 bear 🐼 panda 🦁 lion 🐮 cow 🐷 pig 🐸 frog
🐵 monkey 🐔 chicken 🐧 penguin 🦉 owl 🦄 unicorn 🐝 bee 🦋 butterfly 🐌 snail 🐞 ladybug
🐢 turtle 🐍 snake 🐙 octopus 🦀 crab 🐠 fish 🐳 whale 🐘 elephant 🐪 camel 🦒 giraffe
🦓 zebra 🌵 cactus 🌲 pine 🌴 palm 🍁 leaf 🍄 mushroom 🌹 rose 🌻 sunflower 🌷 tulip
🌈 rainbow 🔥 fire 💧 drop 🌙 moon 🌞 sun 🌍 globe ⛄ snowman 🍎 apple 🍐 pear 🍊 orange
🍋 lemon 🍌 banana 🍉 melon 🍇 grapes 🍓 strawberry 🍒 cherries 🍍 pineapple 🥝 kiwi
🍅 tomato 🥑 avocado 🍆 eggplant 🥕 carrot 🌽 corn 🥦 broccoli 🍞 bread 🧀 cheese 🍔 burger
🍟 fries 🍕 pizza 🌭 hotdog 🍿 popcorn 🍩 donut 🍪 cookie 🎂 cake 🍭 lollipop 🍦 cone 🥚 egg
☕ coffee 🍷 wine 🍺 beer ⚽ soccer 🏀 basketball 🎾 tennis 🎱 billiards 🎯 target 🎲 dice
🎸 guitar 🎺 trumpet 🥁 drum 🎻 violin 🚗 car 🚌 bus 🚜 tractor 🚲 bicycle 🚂 train 🚀 rocket
🚁 helicopter ⛵ sailboat ⚓ anchor 🏠 house 🏰 castle ⛺ tent ⌚ watch 📱 phone 💻 laptop
📷 camera 💡 bulb 🔑 key 🔒 lock 🔨 hammer ✂ scissors 📎 clip 📚 books ✉ letter 🎁 gift
🎈 balloon 🎩 hat 👑 crown 👓 glasses 👟 shoe 🧦 socks 👕 shirt 👖 jeans 👗 dress 🧤 gloves
☂ umbrella 💍 ring 💎 gem 🔔 bell 🧲 magnet 🧸 teddy 🤖 robot 👻 ghost 👽 alien 💀 skull
🎃 pumpkin 🏆 trophy 🪑 chair 🚽 toilet 🛁 bathtub
"""
CHARACTERS, NAMES = tuple(_PICTURES.split()[::2]), tuple(_PICTURES.split()[1::2])
"""The things that are shown, as characters of the font, and their names."""
CHOICES = {"exists": TRUTH, "where": CELLS, "which": NAMES, "count": COUNTS}
"""Kind of question → its possible answers. Chance is one over their number."""
FACTS = (len(SIZES) + len(CELLS)) * len(NAMES)
"""Length of a caption as a multi-hot vector."""

_TABLES = {"size": SIZES, "name": NAMES}
_TEMPLATES = {
    "where": "where is the {} ?",
    "which": "what is at the {} ?",
    "count": "how many times does the {} appear ?",
}
_FONT_FOLDERS = (
    "/usr/share/fonts/truetype/noto",
    "/usr/share/fonts/noto",
    "/usr/share/fonts/google-noto-emoji",
    "/usr/share/fonts/google-noto-color-emoji-fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "~/.fonts",
)
_EXTENTS = {False: np.array([[16, 17], [21, 22], [27, 28]]), True: np.array([[18, 19], [24, 25], [29, 30]])}
_TURNS = {False: (-12, 0, 12), True: (-40, -25, 25, 40)}
_WINDOW = 30


def font_path() -> Path:
    """Find the font in the folders where systems keep it.

    Raises:
        FileError: If it is not installed.
    """
    for folder in _FONT_FOLDERS:
        path = Path(folder).expanduser() / "NotoColorEmoji.ttf"
        if path.is_file():
            return path
    raise FileError(
        f"NotoColorEmoji.ttf is in none of {', '.join(_FONT_FOLDERS)}; expected the font of the pictures: install it "
        "with `apt install fonts-noto-color-emoji`"
    )


@cache
def _pictures(new: bool) -> UInt8[np.ndarray, "names extents turns height width 4"]:
    """Render every thing at every size and turn as RGBA, in the upper left corner of its window."""
    font = ImageFont.truetype(font_path(), 109)  # the only size of its bitmaps
    extents, turns = _EXTENTS[new].ravel().tolist(), _TURNS[new]
    drawn = np.zeros((len(NAMES), len(extents), len(turns), _WINDOW, _WINDOW, 4), dtype=np.uint8)
    for name, character in enumerate(CHARACTERS):
        large = Image.new("RGBA", (192, 192))
        ImageDraw.Draw(large).text((96, 96), character, font=font, embedded_color=True, anchor="mm")
        for turn, degrees in enumerate(turns):
            turned = large.rotate(degrees, Image.Resampling.BILINEAR)
            turned = turned.crop(turned.getchannel("A").getbbox())
            for slot, extent in enumerate(extents):
                scale = extent / max(turned.size)
                size = [max(1, round(side * scale)) for side in turned.size]
                small = np.asarray(turned.resize((size[0], size[1]), Image.Resampling.BOX))
                down, right = (extent - size[1]) // 2, (extent - size[0]) // 2
                drawn[name, slot, turn, down : down + size[1], right : right + size[0]] = small
    return drawn


def draw(seed: int, split: str, start: int, stop: int) -> Scenes:
    """Draw the scenes `start` … `stop` − 1 of a split; the traits of an object are its `size` and its `name`.

    Args:
        seed: The seed of all scenes.
        split: The split; each has as many scenes as anybody asks for.
        start: Number of the first scene.
        stop: Number after the last scene.

    Raises:
        ConfigError: If the split is unknown, or the range is empty or negative.
        FileError: If the font is not installed.
    """
    return join([_draw(seed, split, index) for index in pieces_of(split, start, stop)])


def _draw(seed: int, split: str, index: Int[np.ndarray, " scenes"]) -> Scenes:
    dice = Dice(derive(seed, "sprites", split), index)
    new = split == "ood"
    present, copies = cast(dice, new)
    hard, size = handicap(dice, new)
    focus = dice.below(len(NAMES))[:, None]
    other = (focus + 1 + dice.below(len(NAMES) - 1, OBJECTS)) % len(NAMES)
    name = np.where(np.arange(OBJECTS) < copies[:, None], focus, other)
    seats = dice.uniform(len(CELLS)).argsort(axis=1, kind="stable")
    hue = dice.below(len(HUES))
    images = backdrop(dice, hue)
    distractors = distract(dice, images, seats[:, -1], hard, new)

    slot = 2 * size + dice.below(2, OBJECTS)
    extent = _EXTENTS[new].ravel()[slot]
    top, left = seat(dice, seats[:, :OBJECTS], extent, extent)
    turn = dice.below(len(_TURNS[new]), OBJECTS)
    tint = 1 - dice.uniform(OBJECTS, 3) * np.float32(0.5 if new else 0.2)
    opacity = np.ones(size.shape, dtype=np.float32)
    opacity[hard == HARD.index("faint"), 0] = 0.5
    rows, slots = np.nonzero(present)
    pictures = _pictures(new)[name[rows, slots], slot[rows, slots], turn[rows, slots]]
    cover: Float[np.ndarray, "stamps height width"] = pictures[..., 3] * np.float32(1 / 255)
    paint = (pictures[..., :3] * tint[rows, slots, None, None]).astype(np.uint8)
    patches = np.zeros((len(index), OBJECTS, GRID * GRID), dtype=bool)
    where = (rows, top[rows, slots], left[rows, slots])
    patches[rows, slots] = stamp(images, *where, cover, paint, opacity[rows, slots])

    nothing = np.full((len(index), LABELS), -1, dtype=np.int8)
    return Scenes(
        seed=seed,
        split=split,
        index=index,
        images=images,
        traits={
            "size": np.where(present, size, -1).astype(np.int8),
            "name": np.where(present, name, -1).astype(np.int16),
        },
        cells=np.where(present, seats[:, :OBJECTS], -1).astype(np.int8),
        hard=hard.astype(np.int8),
        repeated=np.ones(len(index), dtype=np.int8),
        copies=copies.astype(np.int8),
        hue=hue.astype(np.int8),
        words=nothing,
        label_colors=nothing,
        label_cells=nothing,
        object_patches=patches,
        label_patches=np.zeros((len(index), LABELS, GRID * GRID), dtype=bool),
        distractor_patches=distractors,
    )


def ask(scenes: Scenes) -> Questions:
    """Ask about four questions on each scene; the same ones whatever batch the scene is in.

    Args:
        scenes: Scenes drawn by `tamis.vision.sprites.draw`.
    """
    dice = Dice(derive(scenes.seed, "sprite questions", scenes.split), scenes.index)
    pool = Pool(scenes)
    present, name = scenes.cells >= 0, scenes.traits["name"]
    ask_exists(pool, scenes, dice, _TABLES, ("size", "name"))
    rows, chosen, _ = choose(dice, unique(scenes, [("name",)]))
    cells = [CELLS[cell] for cell in scenes.cells[rows, chosen].tolist()]
    text = [_TEMPLATES["where"].format(NAMES[value]) for value in name[rows, chosen].tolist()]
    pool.add("where", rows, text, cells, objects=one_of(chosen))
    for _ in range(2):
        rows, chosen, _ = choose(dice, present[:, :, None])
        text = [_TEMPLATES["which"].format(CELLS[cell]) for cell in scenes.cells[rows, chosen].tolist()]
        answers = [NAMES[value] for value in name[rows, chosen].tolist()]
        pool.add("which", rows, text, answers, objects=one_of(chosen))
    text = [_TEMPLATES["count"].format(NAMES[value]) for value in name[:, 0].tolist()]
    counts = [COUNTS[copies - 1] for copies in scenes.copies.tolist()]
    pool.add("count", np.arange(len(scenes)), text, counts, objects=name == name[:, :1])
    return pool.sorted()


def captions(scenes: Scenes) -> list[str]:
    """Say in one sentence what is in each scene.

    Args:
        scenes: Scenes drawn by `tamis.vision.sprites.draw`.
    """
    columns = (scenes.traits["size"], scenes.traits["name"], scenes.cells)
    return [
        " and ".join(
            f"a {SIZES[size]} {NAMES[name]} at the {CELLS[cell]}"
            for size, name, cell in zip(*things, strict=True)
            if cell >= 0
        )
        for things in zip(*(column.tolist() for column in columns), strict=True)
    ]


def targets(scenes: Scenes) -> Bool[np.ndarray, "scenes targets"]:
    """Say the captions as a multi-hot vector: size × name, then cell × name.

    Args:
        scenes: Scenes drawn by `tamis.vision.sprites.draw`.
    """
    rows, slots = np.nonzero(scenes.cells >= 0)
    name = scenes.traits["name"][rows, slots]
    told = np.zeros((len(scenes), len(SIZES) + len(CELLS), len(NAMES)), dtype=bool)
    told[rows, scenes.traits["size"][rows, slots], name] = True
    told[rows, len(SIZES) + scenes.cells[rows, slots], name] = True
    return told.reshape(len(scenes), -1)


def spoken() -> set[str]:
    """Every word and mark that a question, an answer or a caption of these scenes can hold."""
    said = {word for template in _TEMPLATES.values() for word in template.replace("{}", "").split()}
    return said.union({"is", "there", "a", "an", "at", "the", "and", "?"}, SIZES, *CHOICES.values())
