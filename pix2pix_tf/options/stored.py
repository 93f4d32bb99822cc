"""Writes the `options.json` of a run, and reads and checks it."""

import dataclasses
import json
import reprlib
import stat
from pathlib import Path

from pix2pix_tf.options.flag import Size, flags_of, value_text
from pix2pix_tf.options.options import FLAGS, to_dict
from pix2pix_tf.runtime import files
from pix2pix_tf.runtime.errors import UsageError

OPTIONS_NAME = "options.json"
MAX_LISTED = 5  # unknown keys in a message
MAX_OPTIONS_BYTES = 2**20  # a usual options.json has 2 KB
# The flags that `options.json` may hold; that of DCGAN has its own mode.
STORED_FLAGS = FLAGS | {
    "mode": dataclasses.replace(
        FLAGS["mode"], choices=(*FLAGS["mode"].choices, "dcgan")
    )
}


def to_json(options) -> str:
    """Returns the text of `options.json`: all options, sorted by name."""
    return json.dumps(to_dict(options), sort_keys=True, indent=4) + "\n"


def describe_changed(options) -> str:
    """Returns lines, by group, of the options that do not have their defaults."""
    changed = {}
    for name, one in flags_of(type(options)).items():
        value = to_dict(options)[name]
        if value != one.default:
            changed.setdefault(one.group, []).append(f"{name} = {value_text(value)}")
    lines = [f"  {group}: {', '.join(texts)}" for group, texts in changed.items()]
    path = Path(options.run.output_dir, OPTIONS_NAME)
    return "\n".join(["options that are not defaults:", *lines, f"  all: {path}"])


def write_options(options):
    """Creates the output folder and writes all options to its `options.json`.

    Raises:
        UsageError: the folder cannot be created or written.
    """
    output_dir = Path(options.run.output_dir)
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        files.write_whole(output_dir / OPTIONS_NAME, to_json(options))
    except OSError as error:
        raise UsageError(
            f"--output_dir {output_dir} cannot be written: {error.strerror}"
        ) from None


def read_options(path: Path) -> dict:
    """Returns the {flag name: value} of an `options.json`; checks each value.

    The file may be from pix2pix-tf, DCGAN or the original program. An unknown key is an
    error: it may be a flag of a newer version that shapes the networks.

    Raises:
        UsageError: the file is missing or damaged, a key is not a flag, or a value does
            not fit its flag.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("it is not a file")
        if path.stat().st_size > MAX_OPTIONS_BYTES:
            raise ValueError(f"it has more than {MAX_OPTIONS_BYTES} bytes")
        text = path.read_text(encoding="utf-8-sig")  # some editors write a BOM
        values = json.loads(text, object_pairs_hook=_unique)
    except FileNotFoundError:
        raise UsageError(
            f"{path} is missing: give --checkpoint a folder that training wrote"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is damaged and cannot be read: {error}") from None
    if not isinstance(values, dict):
        raise UsageError(f"{path} must hold a JSON object, got {type(values).__name__}")
    unknown = [name for name in values if name not in STORED_FLAGS]
    if unknown:
        raise UsageError(
            f"{path}: {', '.join(map(reprlib.repr, unknown[:MAX_LISTED]))}"
            f"{' and more' if len(unknown) > MAX_LISTED else ''} are not flags: "
            "correct their spelling, or use the newer version that wrote the file"
        )
    for name, value in values.items():
        if STORED_FLAGS[name].type is Size and isinstance(value, list):
            values[name] = tuple(value)  # JSON has no tuples
        STORED_FLAGS[name].check(values[name], where=f"{path}: {name}")
    return values


def _unique(pairs):
    """Returns the dict of a JSON object's pairs; a repeated key is an error."""
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("it contains a key twice")
    return values
