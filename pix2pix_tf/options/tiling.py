"""The flags of tiles, which test mode and commands of single images share."""

import argparse
import dataclasses

from pix2pix_tf.options.flag import MODES, flags_in
from pix2pix_tf.options.parser import add_flag
from pix2pix_tf.options.run import OutputConfig
from pix2pix_tf.runtime.errors import UsageError

NAMES = ("tile", "overlap", "tile_statistics")


def add_tiling_flags(parser: argparse.ArgumentParser, heading: str, tile_help: str):
    """Adds --tile, --overlap and --tile_statistics to the parser of a command.

    Args:
        parser: its parser.
        heading: of their group in --help.
        tile_help: what --tile does there.
    """
    group = parser.add_argument_group(heading)
    flags = flags_in(OutputConfig)
    for name in NAMES:
        one = dataclasses.replace(flags[name], modes=MODES)
        add_flag(
            group, dataclasses.replace(one, help=tile_help) if name == "tile" else one
        )


def given_tiling(given: argparse.Namespace) -> tuple[int, int, str] | None:
    """Returns (tile, overlap, statistics) of a command line, or None without --tile.

    Raises:
        UsageError: a flag has a wrong value, or needs --tile.
    """
    flags = flags_in(OutputConfig)
    values = {name: getattr(given, name) for name in NAMES}
    for name, value in values.items():
        if value is None:
            values[name] = flags[name].default
        elif given.tile is None:
            raise UsageError(f"--{name} needs --tile")
        else:
            flags[name].check(value, f"--{name}")
    return None if given.tile is None else tuple(values.values())


def check_tiling(tile: int, overlap: int, multiple: int) -> None:
    """Raises UsageError if a network cannot take the tiles.

    Args:
        tile, overlap: the flags.
        multiple: the network's `ModelConfig.multiple`.
    """
    if tile < 1 or tile % multiple:
        below = max(tile // multiple, 1) * multiple
        raise UsageError(
            f"--tile {tile} is not a multiple of {multiple}, which the network needs: "
            f"try {below} or {below + multiple}"
        )
    if not 0 <= overlap < tile:
        raise UsageError(
            f"--overlap {overlap}: wanted 0 or more, and less than --tile {tile}"
        )
