"""A facade from a seed: one plan, drawn once as labels and once as a photograph."""

import collections.abc
import dataclasses

import numpy as np

from pix2pix_tf.data.samples import painting
from pix2pix_tf.data.samples.painting import FINE

SIDE = 256  # pixels, of a photograph and of its label map

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
    is_brick: bool  # dressed in stone; otherwise plaster
    has_shutters: bool
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
        inside = painting.arch(*view.shape, part.rise) if part.rise else True
        np.copyto(view, names.index(part.label), where=inside)
    return np.take(np.uint8(list(PALETTE.values())), labels, axis=0)


def draw_photograph(parts, style, rng):
    """The photograph of a scene, uint8 [SIDE, SIDE, 3]."""
    # Stored plane by plane, which lets numpy apply a shade to all colours faster.
    planes = np.zeros([3, SIDE * FINE, SIDE * FINE], np.float32)
    fine = planes.transpose(1, 2, 0)
    for part in parts:
        if part.shadow:
            painting.cast_shadow(fine, part, style)
        rows = slice(part.top * FINE, part.bottom * FINE)
        view = fine[rows, part.left * FINE : part.right * FINE]
        behind = view.copy() if part.rise else None
        part.draw(view, style, rng)
        if part.rise:
            inside = painting.arch(*view.shape[:2], part.rise * FINE)
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
    image *= 0.92 + 0.16 * painting.smooth_noise(rng, SIDE, SIDE, 3)
    image += 0.04 * (painting.random(rng, [SIDE, SIDE, 1]) - 0.5)  # luminance grain
    image += 0.02 * (painting.random(rng, [SIDE, SIDE, 3]) - 0.5)  # colour grain
    return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)


def plan_house(rng):
    """Draws the measures and the features of a facade.

    Brick is dressed in stone, with pillars and surrounds, and only plaster has
    shutters: so the labels round every window tell what the wall is made of, and a
    small network can learn it soon.
    """
    left = int(rng.integers(8, 26)) if painting.chance(rng, 0.5) else 0
    right = SIDE - (int(rng.integers(8, 26)) if painting.chance(rng, 0.5) else 0)
    top = int(rng.integers(26, 42))
    ground = SIDE - int(rng.integers(12, 20))
    street_top = ground - int(rng.integers(48, 58))
    num_storeys = 2 + painting.chance(rng, 0.6) + painting.chance(rng, 0.2)
    storey = (street_top - top - 6) // num_storeys
    is_brick = painting.chance(rng, 0.5)
    inside = right - left - (28 if is_brick else 12)
    num_columns = max(inside // int(storey * painting.between(rng, 0.85, 1.2)), 3)
    pitch = inside // num_columns
    first = (left + right - pitch * (num_columns - 1)) // 2
    has_shutters = not is_brick and painting.chance(rng, 0.75)
    share = (
        painting.between(rng, 0.38, 0.44)
        if has_shutters
        else painting.between(rng, 0.44, 0.56)
    )
    window_height = int(storey * painting.between(rng, 0.54, 0.62))
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
        rise=window_width // 2 - 1
        if painting.chance(rng, 0.4) and not has_shutters
        else 0,
        is_brick=is_brick,
        has_shutters=has_shutters,
        has_courses=painting.chance(rng, 0.5),
        has_decoration=painting.chance(rng, 0.6) and storey - window_height > 20,
        has_pediment=painting.chance(rng, 0.4),
        balcony_storey=int(rng.integers(-1, num_storeys)),
        has_long_balcony=painting.chance(rng, 0.4),
    )


def plan_style(house, rng):
    """Draws the light and the colours, around those that suit the wall's material."""
    wall = (0.60, 0.33, 0.25) if house.is_brick else (0.83, 0.73, 0.55)
    return Style(
        sun=1 if painting.chance(rng, 0.5) else -1,
        wall=painting.tinted(rng, wall),
        stone=painting.tinted(rng, (0.80, 0.76, 0.68)),
        shutter=painting.tinted(rng, (0.24, 0.42, 0.36)),
        wood=painting.tinted(rng, (0.40, 0.23, 0.13)),
        awning=painting.tinted(rng, (0.68, 0.16, 0.15)),
    )


def plan_parts(house, rng):
    """The parts of a scene, from back to front."""
    wall = painting.draw_brick if house.is_brick else painting.draw_plaster
    parts = [
        Part("background", painting.draw_sky, 0, 0, SIDE, SIDE),
        Part("background", painting.draw_pavement, house.ground, 0, SIDE, SIDE),
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
        Part(
            "pillar",
            painting.draw_pillar,
            house.top,
            left,
            house.ground,
            left + 10,
            shadow=1,
        )
        for left in lefts
    ]


def _courses(house):
    """Bands of molding: above the street floor, and between storeys if it has them."""
    num_courses = house.num_storeys if house.has_courses else 1
    lowest = house.street_top - 3
    tops = [lowest - storey * house.storey for storey in range(num_courses)]
    return [
        Part(
            "molding",
            painting.draw_band,
            top,
            house.left,
            top + 5,
            house.right,
            shadow=2,
        )
        for top in tops
    ]


def _roof_line(house):
    """The cornice along the top of the wall, with a pediment if there is one."""
    left, right = max(house.left - 4, 0), min(house.right + 4, SIDE)
    box = (house.top - 4, left, house.top + 6, right)
    cornice = Part("cornice", painting.draw_band, *box, shadow=7)
    if not house.has_pediment:
        return [cornice]
    middle, half = (house.left + house.right) // 2, house.pitch // 2 + 6
    box = (house.top - 20, middle - half, house.top - 4, middle + half)
    return [Part("decoration", painting.draw_carving, *box, rise=14), cornice]


def _window(house, centre, bottom, is_decorated):
    """One window with what belongs to it; `bottom` is the lower edge of its glass."""
    half = house.window_width // 2
    top, left, right = bottom - house.window_height, centre - half, centre + half
    parts = []
    if house.is_brick:
        box = (top - 3, left - 3, bottom, right + 3)
        rise = house.rise + 3 if house.rise else 0
        parts.append(Part("molding", painting.draw_stone, *box, rise=rise, shadow=1))
    parts.append(
        Part("window", painting.draw_window, top, left, bottom, right, rise=house.rise)
    )
    if house.has_shutters:
        for edge in (left - half, right):
            box = (top, edge, bottom, edge + half)
            parts.append(Part("blind", painting.draw_shutter, *box, shadow=1))
    if is_decorated and not house.rise:
        box = (top - 10, left - 2, top - 3, right + 2)
        parts.append(Part("decoration", painting.draw_carving, *box, shadow=1))
    parts.append(
        Part(
            "sill",
            painting.draw_band,
            bottom,
            left - 4,
            bottom + 4,
            right + 4,
            shadow=3,
        )
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
        Part("balcony", painting.draw_balcony, top, left, bottom + 5, right, shadow=6)
        for left, right in spans
    ]


def _street_floor(house, rng):
    """A door in one column; shops in the others, or windows."""
    column = int(rng.integers(len(house.centres)))
    others = _shops if painting.chance(rng, 0.55) else _street_windows
    return others(house, column) + _door(house, house.centres[column])


def _door(house, centre):
    """A door in a stone surround."""
    half = min(house.window_width // 2 + 2, 13)
    top, bottom = house.ground - 38, house.ground
    rise = half if house.rise else 0
    outer = (top - 4, centre - half - 4, bottom, centre + half + 4)
    inner = (top, centre - half, bottom, centre + half)
    return [
        Part("molding", painting.draw_stone, *outer, rise=rise),
        Part("door", painting.draw_door, *inner, rise=max(rise - 4, 0)),
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
        Part(
            "shop", painting.draw_shop, house.street_top + 8, left, house.ground, right
        )
        for left, right in spans
        if right - left >= 24
    ]
