"""Sample pictures, so that training can be tried without a download.

In here: where the samples live, and how they are made. Pairs are facades drawn from a
seed, photograph on the left and labels on the right, as in the CMP facades. Colour
photographs for colorization are cut from those that the scikit-image package carries.
Not in here: reading the pictures back.

Drawing keeps to `+ - * /`, comparisons, `rng.random` and `rng.integers`. Those round
the same way on every machine, so a picture has the same pixels everywhere; numpy's sin,
exp, sum and normal numbers need not.
"""

import collections.abc
import dataclasses
import os
import pathlib
import shutil
import tempfile

import numpy as np
import tensorflow as tf

VERSION = 1  # of the pictures; a new one gets a new cache folder
NUM_PAIRS = {"train": 100, "test": 12}
FIRST_SEED = {"train": 0, "test": 1000}  # picture n is drawn from FIRST_SEED + n

# Files in scikit-image's data folder. The two for testing are warm and muted, colours
# that can be guessed from few examples.
PHOTOGRAPHS = {
    "train": (
        "astronaut.png",
        "hubble_deep_field.jpg",
        "motorcycle_left.png",
        "rocket.jpg",
    ),
    "test": ("chelsea.png", "coffee.png"),
}
CROP_SIDE = 320  # pixels
CROP_GRID = (2, 3)  # rows and columns of overlapping crops in a photograph

SIDE = 256  # pixels, of a photograph and of its label map
FINE = 2  # the photograph is drawn this many times larger, then averaged down

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


# ---------------------------------------------------------------------------
# What and where
# ---------------------------------------------------------------------------


def sample_dir(lab_colorization: bool, split: str) -> pathlib.Path:
    """The folder of sample images for `split`, written on first use.

    It is in `$XDG_CACHE_HOME/pix2pix_tf` (by default `~/.cache/pix2pix_tf`), or in a
    fresh folder for temporary files where that cannot be written.

    Args:
        lab_colorization: colour photographs if true, otherwise 512x256 pairs with the
            photograph on the left and its labels on the right.
        split: "train" or "test".

    Returns:
        A folder of RGB images 1.png, 2.png, ...

    Raises:
        ValueError: for any other split.
    """
    if split not in NUM_PAIRS:
        raise ValueError(
            f"samples have no split {split!r}; choose one of {sorted(NUM_PAIRS)}"
        )
    kind = "photographs" if lab_colorization else "facades"
    write = write_photographs if lab_colorization else write_facades
    place = pathlib.Path(f"samples-{VERSION}", kind, split)
    try:
        return _write_once(_cache_dir() / place, write, split)
    except (OSError, RuntimeError):  # not writable, or no home folder at all
        fresh = pathlib.Path(tempfile.mkdtemp(prefix="pix2pix_tf-"))
        return _write_once(fresh / place, write, split)


def _cache_dir():
    """The folder for this package's cached files."""
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "pix2pix_tf"


def _write_once(folder, write, split):
    """Returns `folder`, which `write` has filled, now or in an earlier run.

    It is filled under another name first, so nobody ever sees it half full.
    """
    if os.path.isdir(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = pathlib.Path(tempfile.mkdtemp(prefix=f".{split}-", dir=folder.parent))
    try:
        write(split, partial)
        partial.chmod(0o755)  # mkdtemp lets nobody else in
        os.rename(partial, folder)
    except OSError:
        if not os.path.isdir(folder):  # another process may have been first
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def write_facades(split, folder):
    """Writes the pairs of `split` into `folder`."""
    for number in range(1, NUM_PAIRS[split] + 1):
        pair = draw_pair(FIRST_SEED[split] + number)
        _write_png(folder / f"{number}.png", pair)


def write_photographs(split, folder):
    """Writes colour photographs into `folder`: whole to test on, crops to train on."""
    images = []
    for name in PHOTOGRAPHS[split]:
        photograph = _read_photograph(name)
        images += crops(photograph) if split == "train" else [photograph]
    for number, image in enumerate(images, start=1):
        _write_png(folder / f"{number}.png", image)


def crops(photograph):
    """Overlapping squares from all over, each uint8 [CROP_SIDE, CROP_SIDE, 3]."""
    height, width, _ = photograph.shape
    rows, columns = CROP_GRID
    return [
        photograph[top : top + CROP_SIDE, left : left + CROP_SIDE]
        for top in np.linspace(0, height - CROP_SIDE, rows).astype(int)
        for left in np.linspace(0, width - CROP_SIDE, columns).astype(int)
    ]


def _read_photograph(name):
    """A photograph out of the scikit-image package, uint8 [height, width, 3]."""
    import skimage  # here, because training on one's own images does not need it

    path = pathlib.Path(skimage.__file__).parent / "data" / name
    return tf.io.decode_image(path.read_bytes(), channels=3).numpy()


def _write_png(path, image):
    """Writes uint8 [height, width, 3] as a PNG."""
    # Level 3 takes half the time of the default, for files a tenth larger.
    path.write_bytes(tf.io.encode_png(image, compression=3).numpy())


# ---------------------------------------------------------------------------
# A pair: one plan of a facade, drawn once as labels and once as a photograph
# ---------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Part:
    """A piece of the scene: where it is, its label, and what draws its photograph."""

    label: str  # a name in PALETTE
    draw: collections.abc.Callable  # draw(view, style, rng) paints on `view`
    top: int  # pixels of the label map, as are all below
    left: int
    bottom: int
    right: int
    rise: int = 0  # height of the arch that rounds off the top
    shadow: int = 0  # how far it stands out from the wall


@dataclasses.dataclass(frozen=True)
class Style:
    """What varies between photographs but not between label maps."""

    sun: int  # -1: light from the left, 1: from the right
    wall: np.ndarray  # colours are float32 [3] in [0, 1]
    stone: np.ndarray
    shutter: np.ndarray
    wood: np.ndarray
    awning: np.ndarray


@dataclasses.dataclass(frozen=True)
class House:
    """The measures of a facade, in pixels of the label map, and what it has."""

    left: int
    right: int
    top: int  # of the wall
    ground: int  # where wall and pavement meet
    centres: tuple  # of the window columns
    pitch: int  # between the centres
    street_top: int  # of the street floor
    num_storeys: int  # above the street floor
    storey: int  # height of each of these
    window_width: int
    window_height: int
    rise: int  # of the arches over windows and doors; 0 for square ones
    is_brick: bool  # with stone pillars; otherwise plaster without
    has_shutters: bool
    has_surrounds: bool
    has_courses: bool  # moldings between storeys
    has_decoration: bool
    has_pediment: bool
    balcony_storey: int  # 0 is the lowest above the street; -1 for none
    has_long_balcony: bool


def draw_pair(seed):
    """A facade and its labels, uint8 [SIDE, 2 * SIDE, 3]: photograph, then labels."""
    rng = np.random.default_rng(seed)
    house = plan_house(rng)
    parts = plan_parts(house, rng)
    photograph = draw_photograph(parts, plan_style(house, rng), rng)
    return np.concatenate([photograph, draw_labels(parts)], axis=1)


def draw_labels(parts):
    """The label map of a scene, uint8 [SIDE, SIDE, 3], in the colours of PALETTE."""
    names = list(PALETTE)
    labels = np.zeros([SIDE, SIDE], np.uint8)
    for part in parts:
        view = labels[part.top : part.bottom, part.left : part.right]
        inside = _arch(*view.shape, part.rise) if part.rise else True
        np.copyto(view, names.index(part.label), where=inside)
    return np.take(np.uint8(list(PALETTE.values())), labels, axis=0)


def draw_photograph(parts, style, rng):
    """The photograph of a scene, uint8 [SIDE, SIDE, 3]."""
    # Stored plane by plane, which lets numpy apply a shade to all colours faster.
    planes = np.zeros([3, SIDE * FINE, SIDE * FINE], np.float32)
    fine = planes.transpose(1, 2, 0)
    for part in parts:
        if part.shadow:
            cast_shadow(fine, part, style)
        rows = slice(part.top * FINE, part.bottom * FINE)
        view = fine[rows, part.left * FINE : part.right * FINE]
        behind = view.copy() if part.rise else None
        part.draw(view, style, rng)
        if part.rise:
            inside = _arch(*view.shape[:2], part.rise * FINE)
            np.copyto(view, behind, where=~inside[:, :, None])
    return develop(fine, rng)


def develop(fine, rng):
    """Averages down, varies the exposure over the picture and adds grain.

    Args:
        fine: float32 [FINE * SIDE, FINE * SIDE, 3], in [0, 1].
        rng: numpy Generator.

    Returns:
        uint8 [SIDE, SIDE, 3].
    """
    offsets = range(FINE)
    image = sum(fine[i::FINE, j::FINE] for i in offsets for j in offsets) / FINE**2
    image *= 0.92 + 0.16 * smooth_noise(rng, SIDE, SIDE, 3)
    image += 0.04 * (_random(rng, [SIDE, SIDE, 1]) - 0.5)  # luminance grain
    image += 0.02 * (_random(rng, [SIDE, SIDE, 3]) - 0.5)  # colour grain
    return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)


# ---------------------------------------------------------------------------
# Planning
# ---------------------------------------------------------------------------


def plan_house(rng):
    """Draws the measures and the features of a facade."""
    left = int(rng.integers(8, 26)) if _chance(rng, 0.5) else 0
    right = SIDE - (int(rng.integers(8, 26)) if _chance(rng, 0.5) else 0)
    top = int(rng.integers(26, 42))
    ground = SIDE - int(rng.integers(12, 20))
    street_top = ground - int(rng.integers(48, 58))
    num_storeys = 2 + _chance(rng, 0.6) + _chance(rng, 0.2)
    storey = (street_top - top - 6) // num_storeys
    is_brick = _chance(rng, 0.5)
    inside = right - left - (28 if is_brick else 12)
    num_columns = max(inside // int(storey * _between(rng, 0.85, 1.2)), 3)
    pitch = inside // num_columns
    first = (left + right - pitch * (num_columns - 1)) // 2
    has_shutters = _chance(rng, 0.35)
    share = _between(rng, 0.38, 0.44) if has_shutters else _between(rng, 0.44, 0.56)
    window_height = int(storey * _between(rng, 0.54, 0.62))
    window_width = 2 * int(min(pitch * share, window_height * 0.75) / 2)
    return House(
        left=left,
        right=right,
        top=top,
        ground=ground,
        centres=tuple(first + pitch * column for column in range(num_columns)),
        pitch=pitch,
        street_top=street_top,
        num_storeys=num_storeys,
        storey=storey,
        window_width=window_width,
        window_height=window_height,
        rise=window_width // 2 - 1 if _chance(rng, 0.3) and not has_shutters else 0,
        is_brick=is_brick,
        has_shutters=has_shutters,
        has_surrounds=not has_shutters and _chance(rng, 0.65),
        has_courses=_chance(rng, 0.5),
        has_decoration=_chance(rng, 0.6) and storey - window_height > 20,
        has_pediment=_chance(rng, 0.4),
        balcony_storey=int(rng.integers(-1, num_storeys)),
        has_long_balcony=_chance(rng, 0.4),
    )


def plan_style(house, rng):
    """Draws the light and the colours, around those that suit the wall's material."""
    wall = (0.60, 0.33, 0.25) if house.is_brick else (0.83, 0.73, 0.55)
    return Style(
        sun=1 if _chance(rng, 0.5) else -1,
        wall=_tinted(rng, wall),
        stone=_tinted(rng, (0.80, 0.76, 0.68)),
        shutter=_tinted(rng, (0.24, 0.42, 0.36)),
        wood=_tinted(rng, (0.40, 0.23, 0.13)),
        awning=_tinted(rng, (0.68, 0.16, 0.15)),
    )


def plan_parts(house, rng):
    """The parts of a scene, from back to front."""
    wall = draw_brick if house.is_brick else draw_plaster
    parts = [
        Part("background", draw_sky, 0, 0, SIDE, SIDE),
        Part("background", draw_pavement, house.ground, 0, SIDE, SIDE),
        Part("facade", wall, house.top, house.left, house.ground, house.right),
        *_pillars(house),
        *_courses(house),
        *_roof_line(house),
    ]
    for storey in range(house.num_storeys):
        bottom = house.street_top - storey * house.storey - 8
        for centre in house.centres:
            is_decorated = house.has_decoration and storey == 0
            parts += _window(house, centre, bottom, is_decorated)
        if storey == house.balcony_storey:
            parts += _balconies(house, bottom)
    return parts + _street_floor(house, rng)


def _pillars(house):
    """Stone pillars up both edges of a brick wall."""
    if not house.is_brick:
        return []
    lefts = (house.left, house.right - 10)
    return [
        Part("pillar", draw_pillar, house.top, left, house.ground, left + 10, shadow=1)
        for left in lefts
    ]


def _courses(house):
    """Bands of molding: above the street floor, and between storeys if it has them."""
    num_courses = house.num_storeys if house.has_courses else 1
    lowest = house.street_top - 3
    tops = [lowest - storey * house.storey for storey in range(num_courses)]
    return [
        Part("molding", draw_band, top, house.left, top + 5, house.right, shadow=2)
        for top in tops
    ]


def _roof_line(house):
    """The cornice along the top of the wall, with a pediment if there is one."""
    left, right = max(house.left - 4, 0), min(house.right + 4, SIDE)
    box = (house.top - 4, left, house.top + 6, right)
    cornice = Part("cornice", draw_band, *box, shadow=7)
    if not house.has_pediment:
        return [cornice]
    middle, half = (house.left + house.right) // 2, house.pitch // 2 + 6
    box = (house.top - 20, middle - half, house.top - 4, middle + half)
    return [Part("decoration", draw_carving, *box, rise=14), cornice]


def _window(house, centre, bottom, is_decorated):
    """One window with what belongs to it; `bottom` is the lower edge of its glass."""
    half = house.window_width // 2
    top, left, right = bottom - house.window_height, centre - half, centre + half
    parts = []
    if house.has_surrounds:
        box = (top - 3, left - 3, bottom, right + 3)
        rise = house.rise + 3 if house.rise else 0
        parts.append(Part("molding", draw_stone, *box, rise=rise, shadow=1))
    parts.append(Part("window", draw_window, top, left, bottom, right, rise=house.rise))
    if house.has_shutters:
        for edge in (left - half, right):
            box = (top, edge, bottom, edge + half)
            parts.append(Part("blind", draw_shutter, *box, shadow=1))
    if is_decorated and not house.rise:
        box = (top - 10, left - 2, top - 3, right + 2)
        parts.append(Part("decoration", draw_carving, *box, shadow=1))
    parts.append(
        Part("sill", draw_band, bottom, left - 4, bottom + 4, right + 4, shadow=3)
    )
    return parts


def _balconies(house, bottom):
    """Balconies before the windows whose glass ends at `bottom`."""
    half = house.window_width // 2 + 6
    spans = [(centre - half, centre + half) for centre in house.centres]
    if house.has_long_balcony:
        spans = [(spans[0][0], spans[-1][1])]
    top = bottom - min(14, house.window_height // 2)
    return [
        Part("balcony", draw_balcony, top, left, bottom + 5, right, shadow=6)
        for left, right in spans
    ]


def _street_floor(house, rng):
    """A door in one column; shops in the others, or windows."""
    column = int(rng.integers(len(house.centres)))
    others = _shops if _chance(rng, 0.55) else _street_windows
    return others(house, column) + _door(house, house.centres[column])


def _door(house, centre):
    """A door in a stone surround."""
    half = min(house.window_width // 2 + 2, 13)
    top, bottom = house.ground - 38, house.ground
    rise = half if house.rise else 0
    outer = (top - 4, centre - half - 4, bottom, centre + half + 4)
    inner = (top, centre - half, bottom, centre + half)
    return [
        Part("molding", draw_stone, *outer, rise=rise),
        Part("door", draw_door, *inner, rise=max(rise - 4, 0)),
    ]


def _street_windows(house, door):
    """Windows in every column of the street floor but the door's."""
    width = min(house.window_width, 24)
    height = house.ground - house.street_top - 24
    low = dataclasses.replace(
        house,
        window_width=width,
        window_height=height,
        rise=min(house.rise, width // 2 - 1),
    )
    parts = []
    for column, centre in enumerate(house.centres):
        if column != door:
            parts += _window(low, centre, house.ground - 14, False)
    return parts


def _shops(house, door):
    """A shop window to the left of the door and one to the right, where they fit."""
    inset = 13 if house.is_brick else 4
    gap = house.window_width // 2 + 9
    spans = [
        (house.left + inset, house.centres[door] - gap),
        (house.centres[door] + gap, house.right - inset),
    ]
    return [
        Part("shop", draw_shop, house.street_top + 8, left, house.ground, right)
        for left, right in spans
        if right - left >= 24
    ]


# ---------------------------------------------------------------------------
# Drawing. Each paints on `view`, float32 [height, width, 3] in [0, 1], FINE pixels to
# one of the label map, which holds what is behind.
# ---------------------------------------------------------------------------


def draw_sky(view, style, rng):
    """Blue fading to pale at the horizon, with soft clouds."""
    height, width, _ = view.shape
    down = _ramp(height)[:, None, None]
    view[:] = _mix((0.36, 0.57, 0.84), (0.82, 0.89, 0.95), _clip(down * 3))
    high = view[: height // 3]
    clouds = sum(
        smooth_noise(rng, *high.shape[:2], cells) * share
        for cells, share in ((4, 0.5), (10, 0.3), (28, 0.2))
    )
    clouds = _clip(clouds * 4 - 1.9) * (1 - 3 * down[: height // 3])
    high[:] = _mix(high, (0.96, 0.96, 0.97), clouds)


def draw_pavement(view, style, rng):
    """Grey slabs with a kerb and a strip of road."""
    height, width, _ = view.shape
    view[:] = (0.62, 0.60, 0.57)
    view[:] *= 0.9 + 0.2 * smooth_noise(rng, height, width, 40)
    view[:, ::36] *= 0.8
    view[:4] *= 0.6  # the shade at the foot of the wall
    kerb = height - 14
    view[kerb:] = (0.30, 0.30, 0.32)
    view[kerb : kerb + 4] = (0.74, 0.73, 0.71)
    view += 0.08 * (_random(rng, [height, width, 1]) - 0.5)


def draw_brick(view, style, rng):
    """Courses of brick, each brick in its own shade, with pale mortar."""
    height, width, _ = view.shape
    shade = 0.78 + 0.4 * _random(rng, [height // 6 + 1, width // 16 + 2])
    shade = np.repeat(shade, 16, axis=1)
    shade[:, 15::16] = 1.3  # mortar between the bricks of a course
    shade[1::2] = np.roll(shade[1::2], 8, axis=1)
    shade = np.repeat(shade[:, :width], 6, axis=0)[:height]
    shade[5::6] = 1.3  # mortar between courses
    view[:] = style.wall * shade[:, :, None]
    weather(view, rng)


def draw_plaster(view, style, rng):
    """Rough plaster with faint stains."""
    height, width, _ = view.shape
    view[:] = style.wall
    view *= 0.94 + 0.12 * _random(rng, [height, width, 1])
    weather(view, rng)


def weather(view, rng):
    """Stains the wall unevenly, and more towards the ground."""
    height, width, _ = view.shape
    stains = smooth_noise(rng, height, width, 6) + smooth_noise(rng, height, width, 30)
    splashes = _clip(_ramp(height) * 4 - 3)[:, None, None]
    view *= (0.88 + 0.12 * stains) * (1 - 0.16 * splashes)


def draw_stone(view, style, rng):
    """Smooth pale stone with lit and shaded edges."""
    height, width, _ = view.shape
    view[:] = style.stone * (0.95 + 0.1 * _random(rng, [height, width, 1]))
    bevel(view, style)


def draw_band(view, style, rng):
    """A stone band in profile: lit on top, hollow below."""
    height, width, _ = view.shape
    down = _ramp(height)[:, None, None]
    view[:] = style.stone * (1.16 - 0.34 * down)
    view[height // 2 : height // 2 + 2] *= 0.78
    view[-2:] *= 0.72
    view *= 0.96 + 0.08 * _random(rng, [1, width, 1])


def draw_pillar(view, style, rng):
    """A fluted pillar with a capital and a base."""
    height, width, _ = view.shape
    across = _ramp(width)[None, :, None]
    round_off = 1 - (across - 0.5 + 0.2 * -style.sun) ** 2
    view[:] = style.stone * (1.08 * round_off)
    view[:, 4:-2:4] *= 0.85
    for block in (view[:22], view[-26:]):
        draw_stone(block, style, rng)


def draw_carving(view, style, rng):
    """A stone panel with a raised lozenge."""
    height, width, _ = view.shape
    draw_stone(view, style, rng)
    y = (_ramp(height) * 2 - 1)[:, None]
    x = (_ramp(width) * 2 - 1)[None, :]
    distance = np.abs(x) + np.abs(y)
    lit = np.where(y - 0.3 * style.sun * x < 0, 1.1, 0.74)
    view *= np.where((distance > 0.55) & (distance < 0.8), lit, 1)[:, :, None]


def draw_window(view, style, rng):
    """White casements before glass that mirrors the sky above and is dark below."""
    height, width, _ = view.shape
    view[:] = (0.93, 0.92, 0.89)
    bevel(view, style)
    frame = 4
    glass = draw_glass(height, width, rng)
    draw_curtains(glass, rng)
    glass[: frame + 5] *= 0.55  # the reveal's shade
    middle, transom = width // 2, height * 3 // 10
    glass[:, middle - 2 : middle + 2] = (0.90, 0.89, 0.86)
    glass[:, middle + 2 : middle + 3] *= 0.6
    glass[transom : transom + 3] = (0.90, 0.89, 0.86)
    glass[transom + 3 : transom + 5] *= 0.7
    inner = (slice(frame, -frame), slice(frame, -frame))
    view[inner] = glass[inner]


def draw_glass(height, width, rng):
    """Glass with a gradient of sky and a gleam, float32 [height, width, 3]."""
    down = _ramp(height)[:, None, None]
    glass = _mix((0.50, 0.63, 0.76), (0.10, 0.13, 0.17), _clip(down * 1.4))
    slant = _ramp(width)[None, :, None] + 0.5 * down - _between(rng, 0.3, 0.9)
    return glass + 0.12 * ((slant > 0) & (slant < 0.3))


def draw_curtains(glass, rng):
    """Hangs pale folds down both sides of a window's glass."""
    if not _chance(rng, 0.6):
        return
    width = glass.shape[1]
    reach = int(width * _between(rng, 0.18, 0.3))
    folds = 0.75 + 0.08 * (np.arange(reach) // 2 % 3)[None, :, None]
    cloth = folds * np.float32((0.80, 0.77, 0.70))
    glass[:, :reach] = _mix(glass[:, :reach], cloth, 0.65)
    glass[:, width - reach :] = _mix(glass[:, width - reach :], cloth, 0.65)


def draw_shutter(view, style, rng):
    """A painted shutter of slats in a frame."""
    height, width, _ = view.shape
    view[:] = style.shutter
    slats = view[4:-4, 3:-3]
    slats *= np.float32((1.25, 1.0, 0.8, 0.55))[np.arange(len(slats)) % 4, None, None]
    view[height // 2 - 2 : height // 2 + 2] = style.shutter * 1.05
    bevel(view, style)


def draw_door(view, style, rng):
    """Two wooden leaves with panels, under a light of glass."""
    height, width, _ = view.shape
    grain = 0.85 + 0.3 * smooth_noise(rng, height, width, 24)
    view[:] = style.wood * grain
    view[: height // 4] = draw_glass(height // 4, width, rng) * 0.8
    view[height // 4 : height // 4 + 4] = style.wood * 1.2
    half = width // 2
    for left in (4, half + 3):
        for top, bottom in ((0.36, 0.62), (0.68, 0.94)):
            panel = view[
                int(height * top) : int(height * bottom), left : left + half - 7
            ]
            panel *= 0.85
            bevel(panel, style, raised=False)
    view[:, half - 1 : half + 1] *= 0.45
    knob = height * 65 // 100
    view[knob - 3 : knob + 1, half + 2 : half + 5] = (0.90, 0.75, 0.35)
    view[:6] *= 0.6


def draw_balcony(view, style, rng):
    """An iron railing, seen through, on a stone slab."""
    slab = view[-10:]
    railing = view[:-10]
    railing *= 0.72
    for edge in (1, 2):
        railing[:, edge::7] = (0.10, 0.11, 0.12)  # bars, two pixels wide
    railing[:4] = (0.13, 0.14, 0.15)
    railing[-3:] = (0.10, 0.11, 0.12)
    railing[10:12] = (0.12, 0.13, 0.14)
    draw_band(slab, style, rng)


def draw_shop(view, style, rng):
    """A shop front: sign, striped awning, lit window and a panelled base."""
    height, width, _ = view.shape
    sign, awning, base = height // 5, height * 2 // 5, height * 6 // 7
    draw_shop_window(view[awning:base], rng)
    view[:sign] = style.wood * 0.8
    bevel(view[:sign], style)
    draw_lettering(view[5 : sign - 5, 12:-12], rng)
    stripes = (np.arange(width) // 12 % 2)[None, :, None]
    down = _ramp(awning - sign)[:, None, None]
    view[sign:awning] = _mix((0.93, 0.91, 0.86), style.awning, stripes)
    view[sign:awning] *= 1.08 - 0.3 * down
    view[awning - 2 : awning] *= 0.75
    view[base:] = style.wood * 0.9
    bevel(view[base:], style)


def draw_shop_window(view, rng):
    """Warm light behind large panes, with goods on display."""
    height, width, _ = view.shape
    down = _ramp(height)[:, None, None]
    view[:] = _mix((0.36, 0.27, 0.17), (0.86, 0.66, 0.38), _clip(down * 1.2))
    goods = _random(rng, [width // 8 + 1, 1]) + 0.5 * _random(rng, [width // 8 + 1, 3])
    goods = 0.2 + 0.45 * goods
    tall = _random(rng, [width // 8 + 1]) * 0.35 + 0.15
    column = np.arange(width) // 8
    shown = (1 - down[:, :, 0]) < tall[column][None, :]
    view[:] = np.where(shown[:, :, None], goods[column][None], view)
    view += 0.10 * ((_ramp(width)[None, :, None] + 0.4 * down) % 0.5 < 0.12)
    view[: height // 4] *= 0.6  # the awning's shade
    view[:, :4] = view[:, -4:] = (0.22, 0.14, 0.09)
    num_panes = max(width // 64, 1)
    for pane in range(1, num_panes):
        at = width * pane // num_panes
        view[:, at - 2 : at + 2] = (0.22, 0.14, 0.09)


def draw_lettering(view, rng):
    """Gold strokes that look like a name from afar."""
    width = view.shape[1]
    strokes = _random(rng, [width // 4 + 1])[np.arange(width) // 4] > 0.35
    view[:, strokes & (np.arange(width) % 4 != 3)] = (0.86, 0.72, 0.40)


def bevel(view, style, raised=True):
    """Lightens the edges towards the light and darkens the others."""
    lit, dark = (1.14, 0.74) if raised else (0.62, 1.2)
    view[:2] *= lit
    view[-2:] *= dark
    view[:, :2] *= dark if style.sun > 0 else lit
    view[:, -2:] *= lit if style.sun > 0 else dark


def cast_shadow(fine, part, style):
    """Darkens what is behind a part, below it and away from the light."""
    for share in (0.5, 1):  # two layers, for a soft edge
        down = int(part.shadow * FINE * share)
        across = -style.sun * down // 2
        rows = slice(part.top * FINE + down, part.bottom * FINE + down)
        left = max(part.left * FINE + across, 0)
        view = fine[rows, left : part.right * FINE + across]
        if part.rise:
            inside = _arch(*view.shape[:2], part.rise * FINE)
            view *= np.where(inside, np.float32(0.74), np.float32(1))[:, :, None]
        else:
            view *= 0.74


def smooth_noise(rng, height, width, cells):
    """Random hills about `1 / cells` of the view wide, float32 [height, width, 1]."""
    grid = _random(rng, [cells + 1, cells + 1])
    y, x = _ramp(height) * cells, _ramp(width) * cells
    row, column = y.astype(int), x.astype(int)
    lines = _mix(grid[:, column], grid[:, column + 1], _ease(x - column))
    return _mix(lines[row], lines[row + 1], _ease(y - row)[:, None])[:, :, None]


# ---------------------------------------------------------------------------
# Helpers
# ---------------------------------------------------------------------------


def _arch(height, width, rise):
    """Where a box with an arched top is solid, bool [height, width]."""
    x = (_ramp(width) * 2 - 1)[None, :]
    y = (np.arange(height) + 0.5 - rise)[:, None] / rise
    return (y > 0) | (x**2 + y**2 <= 1)


def _ramp(length):
    """Even steps from 0 to 1, both excluded, float32 [length]."""
    return (np.arange(length, dtype=np.float32) + np.float32(0.5)) / np.float32(length)


def _mix(first, second, share):
    """`first` where `share` is 0, `second` where it is 1."""
    first = np.asarray(first, np.float32)
    return first + (np.asarray(second, np.float32) - first) * share


def _ease(share):
    """A smooth step: like `share` at 0 and 1, but level there."""
    return (share * share * (3 - 2 * share)).astype(np.float32)


def _clip(values):
    """Values limited to [0, 1]."""
    return np.clip(values, 0, 1)


def _random(rng, shape):
    """Random numbers in [0, 1), float32 of that shape."""
    return rng.random(shape, dtype=np.float32)


def _between(rng, low, high):
    """One random number from `low` to `high`."""
    return low + (high - low) * rng.random()


def _chance(rng, share):
    """True this share of the time."""
    return bool(rng.random() < share)


def _tinted(rng, color):
    """A colour a little away from `color`, float32 [3]."""
    brightness = 0.92 + 0.16 * _random(rng, [1])
    return np.float32(color) * brightness * (0.97 + 0.06 * _random(rng, [3]))
