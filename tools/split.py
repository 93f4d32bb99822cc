"""Splits a folder of pictures at random into train/, val/ and test/.

It copies (or with --move moves) them there. The same names, fractions and --seed give
the same split, in whatever order the file system lists them. Once a folder is split,
another split into the same place is refused, so no picture is ever in two of them.
"""

import errno
import math
import os
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # without an installation too

import tqdm

from pix2pix_tf.runtime import command, files
from pix2pix_tf.runtime.command import Parser
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.runtime.start import start_tensorflow

SPLITS = ("train", "test", "val")  # in the original's order, which --sort shows
ROUNDING = 1e-9  # 0.29 * 100 is a little less than 29


def main(argv=None):
    """Runs one command line.

    Args:
        argv: list of str, or None for the process's own.

    Returns:
        int, the exit status: 0 done, 2 wrong usage or unusable input (one line on
        stderr), 130 stopped by Ctrl-C.
    """
    return command.run("split", lambda: run(parse(argv)), "goes on from here")


def parse(argv=None):
    """Returns the flags of a command line, checked and completed.

    Raises:
        UsageError: a flag is wrong.
    """
    parser = Parser("split", __doc__)
    folder = {"type": Path, "metavar": "FOLDER"}
    fraction = {"type": float, "metavar": "SHARE"}
    parser.add_argument("--dir", required=True, help="the pictures", **folder)
    parser.add_argument("--output_dir", help="default: --dir", **folder)
    parser.add_argument("--train_frac", default=0.8, help="0.8", **fraction)
    parser.add_argument("--test_frac", default=0.0, help="0", **fraction)
    parser.add_argument("--val_frac", help="default: the rest", **fraction)
    parser.add_argument("--sort", action="store_true", help="by name, not at random")
    parser.add_argument("--seed", type=int, default=0, help="of the draw; 0")
    parser.add_argument("--move", action="store_true", help="move, do not copy")
    options = parser.parse_args(argv)
    for name in ("train_frac", "test_frac", "val_frac"):
        value = getattr(options, name)
        if value is not None and not 0 <= value <= 1:  # NaN too
            raise UsageError(f"--{name} must be from 0 to 1, got {value}")
    total = options.train_frac + options.test_frac + (options.val_frac or 0)
    if total > 1 + ROUNDING:
        raise UsageError(f"the fractions must add up to 1 at most, got {total:.6g}")
    if math.isclose(total, 1):
        options.val_frac = None  # what rounding leaves over is of no use elsewhere
    options.output_dir = options.output_dir or options.dir
    return options


def run(options):
    """Does what the flags say, and prints how many pictures are where.

    Raises:
        UsageError: it cannot be done, and nothing was written.
    """
    if not options.dir.is_dir():
        raise UsageError(f"--dir {printable(options.dir)} is not a folder")
    start_tensorflow()
    from pix2pix_tf.images.codecs import SUFFIXES

    sources = {path.name: path for path in files.find(options.dir, SUFFIXES)}
    present = find_present(options.output_dir, SUFFIXES)
    # What was moved is still part of the split that it was moved for.
    names = sorted({*sources, *(present if options.move else ())})
    if not names:
        raise UsageError(
            f"--dir {printable(options.dir)} has no pictures: wanted files ending in "
            + ", ".join(SUFFIXES)
        )
    places = {
        name: options.output_dir / split / name
        for name, split in assign(names, options).items()
    }
    check_present(present, places)
    check_contents(sources, places)
    for split in {place.parent for place in places.values()}:
        split.mkdir(parents=True, exist_ok=True)
        files.remove_partials(split)
    kept = [name for name in sources if name in places]
    for name in tqdm.tqdm(kept, unit="image", disable=None):
        if options.move:
            _move(sources[name], places[name])
        elif not places[name].exists():
            files.write_whole(places[name], sources[name].read_bytes())
    counts = [place.parent.name for place in places.values()]
    unused = len(names) - len(places)
    print(
        ", ".join(
            f"{split} {counts.count(split)}" for split in ("train", "val", "test")
        )
        + (f", in none {unused}" if unused else "")
        + f": {len(places) - len(present)} new, {len(present)} were there"
    )


def assign(names, options):
    """Returns {name: split} of sorted names; those beyond the fractions are not in it.

    Without --sort the same as the original's, for the same names in the same order.
    """
    counts = {
        split: int(fraction * len(names) + ROUNDING * len(names))
        for split, fraction in (
            ("train", options.train_frac),
            ("test", options.test_frac),
            ("val", options.val_frac or 0),
        )
    }
    splits = [split for split in SPLITS for _ in range(counts[split])]
    rest = None if options.val_frac is not None else "val"
    splits += [rest] * (len(names) - len(splits))
    if not options.sort:
        random.Random(options.seed).shuffle(splits)
    return {name: split for name, split in zip(names, splits, strict=True) if split}


def find_present(output_dir, suffixes):
    """Returns {name: Path} of the pictures that are in a split already.

    Raises:
        UsageError: one is in two of them.
    """
    present = {}
    for split in SPLITS:
        folder = output_dir / split
        for path in files.find(folder, suffixes) if folder.is_dir() else ():
            if path.name in present:
                raise UsageError(
                    f"{printable(path.name)} is in {present[path.name].parent.name} "
                    f"and in {split} of {printable(output_dir)}: remove one of them"
                )
            present[path.name] = path
    return present


def check_present(present, places):
    """Refuses a place that holds another split.

    Raises:
        UsageError: it names all pictures that are where they should not be.
    """
    strangers = [
        f"{path.parent.name}/{printable(name)}"
        for name, path in present.items()
        if places.get(name) != path
    ]
    if strangers:
        folder = next(iter(present.values())).parents[1]
        raise UsageError(
            f"{printable(folder)} holds another split ({', '.join(strangers)} would "
            "not be there): name another --output_dir, or remove that split"
        )


def check_contents(sources, places):
    """Refuses to take a picture for done that has changed since.

    Raises:
        UsageError: it names all such pictures.
    """
    changed = [
        f"{places[name].parent.name}/{printable(name)}"
        for name, source in sources.items()
        if name in places
        and places[name].exists()
        and places[name].read_bytes() != source.read_bytes()
    ]
    if changed:
        raise UsageError(
            f"{', '.join(changed)} differ from the pictures of --dir: remove them, or "
            "name another --output_dir"
        )


def _move(source, place):
    """Moves a file, to another file system too; whole at any moment."""
    try:
        os.replace(source, place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        files.write_whole(place, source.read_bytes())
        source.unlink()


if __name__ == "__main__":
    sys.exit(main())
