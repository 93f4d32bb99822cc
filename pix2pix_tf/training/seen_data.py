"""What data a run has seen: stored with it, and compared when it is resumed.

A file that is added, removed or renamed changes the order of all examples, so that a
resumed run would continue with others than an unbroken one.
"""

import json
import os
from pathlib import Path

from pix2pix_tf.options import OPTIONS_NAME, Options, is_resumed, read_options
from pix2pix_tf.runtime import files, messages
from pix2pix_tf.runtime.errors import UsageError

SEEN_NAME = "data.json"


def check(options: Options, now: dict[str, dict]) -> None:
    """Compares the data of a resumed run with what it has seen.

    Args:
        options: Options.
        now: {"training": fingerprint, "validation": fingerprint} of
            `Source.fingerprint`, the latter if there is one.

    Raises:
        UsageError: the data have changed, and --allow_changed_data is not given.
    """
    output_dir = options.run.output_dir
    if not is_resumed(options.run):
        return
    seen = _read(Path(output_dir, SEEN_NAME))
    changed = _changed_folders(options) + [
        f"{name} had {_describe(seen[name])} and has {_describe(now[name])}"
        for name in now
        if name in seen and seen[name] != now[name]
    ]
    if changed:
        text = f"the data of {output_dir} have changed: {', '.join(changed)}"
        if not options.data.allow_changed_data:
            raise UsageError(
                f"{text}; put the files back, or continue with other files by "
                "--allow_changed_data"
            )
        messages.warn(text)


def store(output_dir: str, fingerprints: dict[str, dict]) -> None:
    """Writes the fingerprints of a run's data to its `data.json`."""
    text = json.dumps(fingerprints, indent=4) + "\n"
    files.write_whole(Path(output_dir, SEEN_NAME), text)


def _changed_folders(options):
    """Returns a text for each flag of validation whose folder is another now."""
    stored = read_options(Path(options.run.output_dir, OPTIONS_NAME))
    folders = [
        (name, stored.get(name), getattr(options.validation, name))
        for name in ("val_dir", "val_target_dir")
    ]
    return [
        f"--{name} was {before} and is {now}"
        for name, before, now in folders
        if before and now and os.path.abspath(before) != os.path.abspath(now)
    ]


def _describe(fingerprint):
    count = fingerprint["count"] or "an unknown number of"
    return f"{count} examples (names {fingerprint['names_hash'][:8]})"


def _read(path):
    """Returns {name: fingerprint} of a run's data.json; {} if an old run has none."""
    if not path.exists():
        return {}
    try:
        seen = json.loads(path.read_text(encoding="utf-8"))
        for one in seen.values():
            _describe(one)
        return seen
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            f"{path} is damaged: {error!r}; remove it to continue without this check"
        ) from None
