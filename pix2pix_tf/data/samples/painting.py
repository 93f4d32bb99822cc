"""How each part of a facade's photograph is painted, and its light and shadow.

Each `draw_*` paints on `view`, float32 [height, width, 3] in [0, 1], FINE pixels to one
of the label map; it holds what is behind.

Drawing keeps to `+ - * /`, comparisons, `rng.random` and `rng.integers`. Those round
the same way on every machine, so a picture has the same pixels everywhere; numpy's sin,
exp, sum and normal numbers need not.
"""

import numpy as np

FINE = 2  # the photograph is drawn this many times larger, then averaged down


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
    view += 0.08 * (random(rng, [height, width, 1]) - 0.5)


def draw_brick(view, style, rng):
    """Courses of brick, each brick in its own shade, with pale mortar."""
    height, width, _ = view.shape
    shade = 0.78 + 0.4 * random(rng, [height // 6 + 1, width // 16 + 2])
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
    view *= 0.94 + 0.12 * random(rng, [height, width, 1])
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
    view[:] = style.stone * (0.95 + 0.1 * random(rng, [height, width, 1]))
    bevel(view, style)


def draw_band(view, style, rng):
    """A stone band in profile: lit on top, hollow below."""
    height, width, _ = view.shape
    down = _ramp(height)[:, None, None]
    view[:] = style.stone * (1.16 - 0.34 * down)
    view[height // 2 : height // 2 + 2] *= 0.78
    view[-2:] *= 0.72
    view *= 0.96 + 0.08 * random(rng, [1, width, 1])


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
    slant = _ramp(width)[None, :, None] + 0.5 * down - between(rng, 0.3, 0.9)
    return glass + 0.12 * ((slant > 0) & (slant < 0.3))


def draw_curtains(glass, rng):
    """Hangs pale folds down both sides of a window's glass."""
    if not chance(rng, 0.6):
        return
    width = glass.shape[1]
    reach = int(width * between(rng, 0.18, 0.3))
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
    goods = random(rng, [width // 8 + 1, 1]) + 0.5 * random(rng, [width // 8 + 1, 3])
    goods = 0.2 + 0.45 * goods
    tall = random(rng, [width // 8 + 1]) * 0.35 + 0.15
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
    strokes = random(rng, [width // 4 + 1])[np.arange(width) // 4] > 0.35
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
            inside = arch(*view.shape[:2], part.rise * FINE)
            view *= np.where(inside, np.float32(0.74), np.float32(1))[:, :, None]
        else:
            view *= 0.74


def smooth_noise(rng, height, width, cells):
    """Random hills about `1 / cells` of the view wide, float32 [height, width, 1]."""
    grid = random(rng, [cells + 1, cells + 1])
    y, x = _ramp(height) * cells, _ramp(width) * cells
    row, column = y.astype(int), x.astype(int)
    lines = _mix(grid[:, column], grid[:, column + 1], _ease(x - column))
    return _mix(lines[row], lines[row + 1], _ease(y - row)[:, None])[:, :, None]


# ---------------------------------------------------------------------------
# Helpers
# ---------------------------------------------------------------------------


def arch(height, width, rise):
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


def random(rng, shape):
    """Random numbers in [0, 1), float32 of that shape."""
    return rng.random(shape, dtype=np.float32)


def between(rng, low, high):
    """One random number from `low` to `high`."""
    return low + (high - low) * rng.random()


def chance(rng, share):
    """True this share of the time."""
    return bool(rng.random() < share)


def tinted(rng, color):
    """A colour a little away from `color`, float32 [3]."""
    brightness = 0.92 + 0.16 * random(rng, [1])
    return np.float32(color) * brightness * (0.97 + 0.06 * random(rng, [3]))
