"""Makes the sample images of the package: `python tools/paint_samples.py`.

They are pairs of a painted facade (left) and its labels (right), each from a seed, and
photographs out of scikit-image. On one machine it always writes the same bytes.
"""

import sys
from collections.abc import Iterator

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter
from skimage import data

SEEDS = {"train": range(1, 101), "test": range(1001, 1013)}  # of the pairs
# In the public domain: see README.txt beside the images. Those for testing have warm
# and muted colours, which can be guessed from few examples.
PHOTOGRAPHS = {
    "train": (data.astronaut, data.hubble_deep_field, data.rocket),
    "test": (data.chelsea, data.coffee),
}
CROP_SIDE = 320  # pixels, of the photographs for training
WEBP = {"quality": 80, "method": 6}  # JPEG takes twice the bytes

SIDE = 256  # pixels, of a facade's photograph and of its label map
FINE = 2  # both are painted this many times larger
# The classes of the CMP facades (Tylecek and Sara 2013), in their colours.
PALETTE = {
    "background": (0, 0, 170),
    "facade": (0, 0, 255),
    "window": (0, 85, 255),
    "door": (0, 170, 255),
    "cornice": (0, 255, 255),
    "sill": (85, 255, 170),
    "balcony": (170, 255, 85),
    "blind": (255, 255, 0),
    "decoration": (255, 170, 0),
    "molding": (255, 85, 0),
    "pillar": (255, 0, 0),
    "shop": (170, 0, 0),
}
LIGHT, SHADE = "#ffffff2d", "#0000004b"  # mostly transparent
STONE, WOOD, WHITE, GOLD = "#ccc2ad", "#663b21", "#ebe7e0", "#dbb866"
GLASS = "#80a1c2", "#1a212b"  # the sky's reflection, and the dark below it


def main() -> None:
    """Writes all sample images into the package, as 1.webp, 2.webp, ..."""
    from pix2pix_tf.data import samples

    for split, seeds in SEEDS.items():
        images_of = {False: map(paint_pair, seeds), True: cut_photographs(split)}
        for is_photographs, images in images_of.items():
            folder = samples.sample_dir(is_photographs, split)
            folder.mkdir(parents=True, exist_ok=True)
            for number, image in enumerate(images, start=1):
                image.save(folder / f"{number}.webp", **WEBP)


def cut_photographs(split: str) -> Iterator[Image.Image]:
    """Yields RGB images: whole photographs to test on, overlapping squares to train."""
    for load in PHOTOGRAPHS[split]:
        photograph = Image.fromarray(load())
        if split == "test":
            yield photograph
            continue
        for top in np.linspace(0, photograph.height - CROP_SIDE, 2, dtype=int):
            for left in np.linspace(0, photograph.width - CROP_SIDE, 3, dtype=int):
                yield photograph.crop((left, top, left + CROP_SIDE, top + CROP_SIDE))


def paint_pair(seed: int) -> Image.Image:
    """Returns a facade and its labels: an RGB image of 512 x 256 pixels."""
    rng = np.random.default_rng(seed)
    facade = Facade(rng)
    photograph = facade.photograph.resize((SIDE, SIDE), Image.Resampling.BOX)
    light = rng.uniform(0.88, 1.06) + 0.16 * noise(photograph, 3, rng)
    brighten(photograph, light + rng.normal(0, 0.008, light.shape))
    pair = Image.new("RGB", (2 * SIDE, SIDE))
    pair.paste(photograph, (0, 0))
    pair.paste(facade.labels.resize((SIDE, SIDE), Image.Resampling.NEAREST), (SIDE, 0))
    return pair


class Facade:
    """Plans and paints one facade; all measures are in pixels of the finished image.

    Bricks come with pillars and with stone round the windows, and shutters on plaster
    only: the labels round every window tell what the wall is made of, so that a small
    network can learn it soon.
    """

    def __init__(self, rng):
        """Paints everything, from back to front, as a numpy Generator decides."""
        self.rng = rng
        self.photograph = Image.new("RGB", (SIDE * FINE, SIDE * FINE))
        self.labels = Image.new("RGB", (SIDE * FINE, SIDE * FINE))
        self.left, self.right = (0, SIDE) + rng.choice([0, 0, 10, 18], 2) * (1, -1)
        self.top, self.ground = rng.integers(26, 42), SIDE - rng.integers(12, 20)
        self.street_top = self.ground - rng.integers(48, 58)
        num_storeys = rng.choice([2, 3, 3, 4])
        storey = (self.street_top - self.top - 6) // num_storeys
        self.is_brick = rng.random() < 0.5
        self.has_shutters = not self.is_brick and rng.random() < 0.75
        self.is_arched = not self.has_shutters and rng.random() < 0.4
        width = self.right - self.left - (28 if self.is_brick else 12)
        num_columns = max(int(width / (storey * rng.uniform(0.9, 1.2))), 3)
        pitch = width // num_columns
        first = (self.left + self.right - pitch * (num_columns - 1)) // 2
        self.centres = first + pitch * np.arange(num_columns)
        height = int(storey * rng.uniform(0.54, 0.62))  # of the windows
        share = rng.uniform(0.38, 0.44) + (0 if self.has_shutters else 0.08)
        self.half = int(min(pitch * share, height * 0.75) / 2)  # of their width

        self.add("background", (0, 0, SIDE, SIDE), sky)
        self.add("background", (0, self.ground, SIDE, SIDE), pavement)
        self.wall(storey if rng.random() < 0.5 else SIDE)
        has_panels = storey - height > 20 and rng.random() < 0.6
        balcony_storey = rng.integers(-1, num_storeys)
        for number in range(num_storeys):
            bottom = self.street_top - number * storey - 8
            has_balconies = number == balcony_storey
            self.windows(self.centres, bottom, self.half, height, has_balconies)
            for centre in self.centres if number == 0 and has_panels else ():
                left, right = centre - self.half - 2, centre + self.half + 2
                box = (left, bottom - height - 9, right, bottom - height - 3)
                self.add("decoration", box, stone, shadow=1)
        self.street_floor()

    def add(self, label, box, paint, radius=0, shadow=0):
        """Paints one part of the facade, on the photograph and on the labels.

        Args:
            label: str, a name in PALETTE.
            box: (left, top, right, bottom).
            paint: function (tile, draw, rng) of those below.
            radius: of the upper corners.
            shadow: how far out the part stands.
        """
        left, top, right, bottom = box = [FINE * int(place) for place in box]
        shape = Image.new("L", (right - left, bottom - top))
        inside = (0, 0, shape.width - 1, shape.height - 1)
        corners = {"corners": (True, True, False, False)}
        ImageDraw.Draw(shape).rounded_rectangle(inside, FINE * radius, 255, **corners)
        if shadow:
            dark = Image.new("L", self.photograph.size)
            dark.paste(95, (left + shadow, top + FINE * shadow), shape)
            dark = dark.filter(ImageFilter.GaussianBlur(shadow / 2))
            self.photograph.paste("black", mask=dark)
        tile = self.photograph.crop(box)
        paint(tile, ImageDraw.Draw(tile, "RGBA"), self.rng)
        self.photograph.paste(tile, box, shape)
        self.labels.paste(PALETTE[label], box, shape)

    def wall(self, storey):
        """The wall, with pillars, a molding each `storey`, and the edge of the roof."""
        left, top, right, ground = self.left, self.top, self.right, self.ground
        wall = bricks if self.is_brick else plaster
        self.add("facade", (left, top, right, ground), wall)
        for edge in (left, right - 10) if self.is_brick else ():
            self.add("pillar", (edge, top, edge + 10, ground), pillar, shadow=1)
        for course in range(self.street_top - 3, top + 20, -storey):
            self.add("molding", (left, course, right, course + 5), band, shadow=2)
        if self.rng.random() < 0.4:
            middle = (left + right) // 2
            box = (middle - 32, top - 20, middle + 32, top - 4)
            self.add("decoration", box, stone, radius=14)
        box = (max(left - 4, 0), top - 4, min(right + 4, SIDE), top + 6)
        self.add("cornice", box, band, shadow=6)

    def windows(self, centres, bottom, half, height, has_balconies=False):
        """A row of windows with what belongs to them; `bottom` is their lower edge."""
        top, radius = bottom - height, half - 1 if self.is_arched else 0
        for left, right in ((centre - half, centre + half) for centre in centres):
            if self.is_brick:
                box = (left - 3, top - 3, right + 3, bottom)
                self.add("molding", box, stone, radius and radius + 3, shadow=1)
            self.add("window", (left, top, right, bottom), window, radius)
            for edge in (left - half, right) if self.has_shutters else ():
                self.add("blind", (edge, top, edge + half, bottom), shutter, shadow=1)
            self.add("sill", (left - 4, bottom, right + 4, bottom + 4), band, shadow=2)
            if has_balconies:
                box = (left - 6, bottom - min(14, height // 2), right + 6, bottom + 5)
                self.add("balcony", box, balcony, shadow=4)

    def street_floor(self):
        """A door in one column, and beside it shops or windows."""
        middle, ground = self.rng.choice(self.centres), self.ground
        if self.rng.random() < 0.55:
            inset, gap = 13 if self.is_brick else 4, self.half + 9
            lefts = self.left + inset, middle + gap
            rights = middle - gap, self.right - inset
            for left, right in zip(lefts, rights, strict=True):
                if right - left >= 24:
                    box = (left, self.street_top + 8, right, ground)
                    self.add("shop", box, shop)
        else:
            others = self.centres[self.centres != middle]
            height = ground - self.street_top - 24
            self.windows(others, ground - 14, min(self.half, 12), height)
        half, top = min(self.half + 2, 13), ground - 38
        radius = half if self.is_arched else 0
        box = (middle - half - 4, top - 4, middle + half + 4, ground)
        self.add("molding", box, stone, radius)
        self.add("door", (middle - half, top, middle + half, ground), door, radius)


# How each part looks. The tile is an RGB image of what is behind the part, with FINE
# pixels to one of the finished image. Light comes from the upper left.


def sky(tile: Image.Image, draw: ImageDraw.ImageDraw, rng: Generator) -> None:
    """Blue that gets paler downwards, with soft clouds above."""
    fade(tile, "#5c91d6", "#d1e3f2")
    clouds = 2.5 * noise(tile, 6, rng) + noise(tile, 25, rng) - 1.5
    opacity = np.linspace(255, -600, tile.height)[:, np.newaxis] * clouds.clip(0, 1)
    opacity = opacity.clip(0)
    tile.paste("#f5f5f7", mask=Image.fromarray(opacity.astype(np.uint8)))


def pavement(tile: Image.Image, draw: ImageDraw.ImageDraw, rng: Generator) -> None:
    """Gray slabs, a kerb and a strip of road."""
    width, height = tile.size
    draw.rectangle((0, 0, width, height), "#9e9991")
    for left in range(0, width, 36):
        draw.line((left, 0, left, height), SHADE)
    draw.rectangle((0, height - 14, width, height), "#4c4c52")
    draw.rectangle((0, height - 14, width, height - 11), "#bdbab5")


def bricks(tile: Image.Image, draw: ImageDraw.ImageDraw, rng: Generator) -> None:
    """Courses of bricks, each brick in its own shade, in pale mortar."""
    tile.paste("#c76d53", (0, 0, *tile.size))
    for row, top in enumerate(range(0, tile.height, 6)):
        for left in range(-8 * (row % 2), tile.width, 16):
            color = rng.uniform(0.78, 1.18) * np.array([153, 84, 64])
            draw.rectangle((left, top, left + 14, top + 4), tuple(color.astype(int)))
    weather(tile, rng)


def plaster(tile: Image.Image, draw: ImageDraw.ImageDraw, rng: Generator) -> None:
    """Rough plaster."""
    tile.paste("#d4ba8c", (0, 0, *tile.size))
    weather(tile, rng)


def weather(tile: Image.Image, rng: Generator) -> None:
    """Stains a wall unevenly, and more near the ground."""
    stains = 0.88 + 0.12 * (noise(tile, 6, rng) + noise(tile, 30, rng))
    splashes = np.linspace(-3, 1, tile.height)[:, np.newaxis].clip(0)
    roughness = rng.uniform(-0.03, 0.03, stains.shape)
    brighten(tile, (stains + roughness) * (1 - 0.16 * splashes))


def stone(tile: Image.Image, draw: ImageDraw.ImageDraw, rng: Generator) -> None:
    """A block of pale stone."""
    tile.paste(STONE, (0, 0, *tile.size))
    bevel(draw, (0, 0, *tile.size))


def band(tile: Image.Image, draw: ImageDraw.ImageDraw, rng: Generator) -> None:
    """A stone band in profile: lit above, hollow below."""
    width, height = tile.size
    fade(tile, "#ede1c9", "#a79f8e")
    draw.rectangle((0, height // 2, width, height // 2 + 1), SHADE)
    draw.rectangle((0, height - 2, width, height), SHADE)


def pillar(tile: Image.Image, draw: ImageDraw.ImageDraw, rng: Generator) -> None:
    """A fluted pillar with a capital and a base."""
    width, height = tile.size
    stone(tile, draw, rng)
    for left in range(4, width, 4):
        draw.rectangle((left, 22, left + left // 8, height - 26), SHADE)
    bevel(draw, (0, 0, width, 22))
    bevel(draw, (0, height - 26, width, height))


def window(tile: Image.Image, draw: ImageDraw.ImageDraw, rng: Generator) -> None:
    """A white frame, and glass that mirrors the sky above and is dark below."""
    width, height = tile.size
    fade(tile, *GLASS)
    gleam = [(0.4 * width, 0), (0.7 * width, 0), (0.4 * width, height), (0, height)]
    draw.polygon(gleam, LIGHT)
    if rng.random() < 0.6:  # curtains
        reach = int(width * rng.uniform(0.18, 0.3))
        for edge in (0, width - reach):
            draw.rectangle((edge, 0, edge + reach, height), "#ccc4b296")
    draw.rectangle((0, 0, width, 9), SHADE)
    middle, transom = width // 2, height * 3 // 10
    draw.rectangle((middle - 2, 0, middle + 1, height), WHITE)
    draw.rectangle((0, transom, width, transom + 2), WHITE)
    draw.rectangle((0, transom + 3, width, transom + 3), SHADE)
    draw.rectangle((0, 0, width - 1, height - 1), None, WHITE, width=4)
    bevel(draw, (0, 0, width, height))


def shutter(tile: Image.Image, draw: ImageDraw.ImageDraw, rng: Generator) -> None:
    """A painted shutter of slats in a frame."""
    width, height = tile.size
    draw.rectangle((0, 0, width, height), "#3d6b5c")
    for top in range(4, height - 5, 4):
        draw.line((3, top, width - 4, top), LIGHT)
        draw.rectangle((3, top + 2, width - 4, top + 3), SHADE)
    bevel(draw, (0, 0, width, height))


def door(tile: Image.Image, draw: ImageDraw.ImageDraw, rng: Generator) -> None:
    """Two wooden leaves with panels, under a pane of glass."""
    width, height = tile.size
    fade(tile, *GLASS)
    half, transom = width // 2, height // 4
    draw.rectangle((0, transom, width, height), WOOD)
    draw.rectangle((0, 0, width - 1, height), None, WOOD, width=4)
    for left in (4, half + 3):
        for share in (0.36, 0.68):
            top, bottom = height * share, height * (share + 0.26)
            bevel(draw, (left, top, left + half - 7, bottom), SHADE, LIGHT)
    draw.rectangle((half - 1, transom, half, height), SHADE)
    draw.ellipse((half + 3, height * 0.64, half + 6, height * 0.64 + 3), GOLD)
    draw.rectangle((0, 0, width, 5), SHADE)


def balcony(tile: Image.Image, draw: ImageDraw.ImageDraw, rng: Generator) -> None:
    """An iron railing, which shows what is behind it, on a stone slab."""
    width, height = tile.size
    draw.rectangle((0, 0, width, height), SHADE)
    bars = [(left, 0, left + 1, height) for left in range(1, width, 7)]
    bars += [(0, top, width, top + 2) for top in (0, 10, height - 13)]
    for bar in bars:
        draw.rectangle(bar, "#1a1c1f")
    draw.rectangle((0, height - 10, width, height), STONE)
    bevel(draw, (0, height - 10, width, height))


def shop(tile: Image.Image, draw: ImageDraw.ImageDraw, rng: Generator) -> None:
    """A shop: a sign, a striped awning, a lit window with goods, and a wooden base."""
    width, height = tile.size
    sign, awning, base = height // 5, height * 2 // 5, height * 6 // 7
    fade(tile, "#3a2b1b", "#f0b86a")
    for left in range(6, width, 8):
        top = base - (base - awning) * rng.uniform(0.15, 0.5)
        draw.rectangle((left, top, left + 6, base), tuple(rng.integers(40, 190, 3)))
    draw.rectangle((0, awning, width, awning + 6), SHADE)
    for left in range(0, width, 12):
        stripe = (left, sign, left + 11, awning)
        draw.rectangle(stripe, "#ad2926" if left % 24 else WHITE)
    for top, bottom in ((0, sign), (base, height)):
        draw.rectangle((0, top, width, bottom), WOOD)
        bevel(draw, (0, top, width, bottom))
    for left in range(12, width - 14, 4):  # letters, from afar
        if rng.random() < 0.65:
            draw.rectangle((left, 5, left + 2, sign - 5), GOLD)


def bevel(draw: ImageDraw.ImageDraw, box: tuple, lit=LIGHT, dark=SHADE) -> None:
    """Lights the upper and left edges of a box, and shades the others."""
    left, top, right, bottom = box
    draw.line([(left, bottom), (left, top), (right, top)], lit, 4)
    draw.line([(left, bottom), (right, bottom), (right, top)], dark, 4)


def fade(tile: Image.Image, above: str, below: str) -> None:
    """Fills an image with a colour that goes over into another, downwards."""
    tile.paste(above, (0, 0, *tile.size))
    tile.paste(below, mask=Image.linear_gradient("L").resize(tile.size))


def noise(tile: Image.Image, cells: int, rng: Generator) -> np.ndarray:
    """Returns smooth hills, `cells` of them side by side: [height, width], 0 to 1."""
    grid = Image.fromarray(rng.random((cells, cells), dtype=np.float32))
    return np.asarray(grid.resize(tile.size, Image.Resampling.BICUBIC))


def brighten(tile: Image.Image, factor: np.ndarray) -> None:
    """Multiplies an image's colours by a factor for each pixel, [height, width]."""
    bright = np.clip(np.asarray(tile) * factor[..., np.newaxis], 0, 255)
    tile.paste(Image.fromarray(bright.astype(np.uint8)))


if __name__ == "__main__":
    sys.exit(main())
