"""Reads the file of `--config`: flags in TOML, which the command line overrules."""

import difflib
import os
import tomllib
from pathlib import Path

from pix2pix_tf.options.flag import Flag, Size, make_size, sides
from pix2pix_tf.runtime.errors import UsageError


def read_config(path: str | Path, flags: dict[str, Flag]) -> dict:
    """Returns the {flag name: value} of a config file; checks each value.

    Args:
        path: a TOML file with lines NAME = VALUE. A size is a number or [height,
            width], and a switch is true or false.
        flags: {flag name: Flag}, those that the command has.

    Raises:
        UsageError: the file cannot be read or is not TOML, a key is not a flag, or a
            value does not fit its flag.
    """
    try:
        # Some editors write a BOM, which TOML does not allow.
        values = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"--config {path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"--config {path} is not a TOML file with each flag once: {error}"
        ) from None
    return {name: _read(path, name, value, flags) for name, value in values.items()}


def _read(path, name, value, flags):
    """Returns the value of one key, as the command line would give it."""
    if name not in flags:
        nearest = difflib.get_close_matches(name, flags, n=1)
        advice = f"did you mean {nearest[0]}?" if nearest else "--help lists the flags"
        what = "a table, not a flag" if isinstance(value, dict) else "not a flag"
        raise UsageError(f"--config {path}: {name!r} is {what}: {advice}")
    one = flags[name]
    if one.type is Size and isinstance(value, list):
        value = tuple(value)  # TOML has no tuples
    one.check(value, where=f"--config {path}: {name}")
    if one.type is Size:
        return make_size(*sides(value))
    if one.type is float:
        return float(value)
    return os.path.expanduser(value) if one.is_path else value
