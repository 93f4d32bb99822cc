"""Splits a folder of images at random into train/, val/ and test/.

It copies (or with --move moves) them there. The same names, fractions and --seed give
the same split, in whatever order the file system lists them. Once a folder is split,
another split into the same place is refused, so no image is ever in two of them.
"""

import argparse
import errno
import filecmp
import itertools
import math
import os
import random
from pathlib import Path

import tqdm

from pix2pix_tf.runtime import command, files
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.runtime.start import start_tensorflow

PROG = "pix2pix-tf split"
SPLITS = ("train", "test", "val")  # in the original's order, which --sort shows
ROUNDING = 1e-9  # 0.29 * 100 is a little less than 29


def main(argv: list[str] | None = None) -> int:
    """Runs one command line; returns the exit status."""
    return command.run(PROG, lambda: run(parse(argv)), "goes on from here")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the flags, checked and completed; raises UsageError for a wrong one."""
    parser = command.Parser(PROG, __doc__)
    folder = {"type": Path, "metavar": "FOLDER"}
    share = {"type": float, "metavar": "SHARE"}
    parser.add_argument("--dir", required=True, help="the images", **folder)
    parser.add_argument("--output_dir", help="(default: --dir)", **folder)
    parser.add_argument("--train_frac", default=0.8, help="(default: 0.8)", **share)
    parser.add_argument("--test_frac", default=0.0, help="(default: 0)", **share)
    parser.add_argument("--val_frac", help="(default: the rest)", **share)
    parser.add_argument("--sort", action="store_true", help="by name, not at random")
    parser.add_argument("--seed", type=int, default=0, help="(default: 0)")
    parser.add_argument("--move", action="store_true", help="move, do not copy")
    options = parser.parse_args(argv)
    fractions = (options.train_frac, options.test_frac, options.val_frac or 0)
    for split, fraction in zip(SPLITS, fractions, strict=True):
        if not 0 <= fraction <= 1:  # NaN too
            raise UsageError(f"--{split}_frac must be from 0 to 1, got {fraction}")
    total = sum(fractions)
    if total > 1 + ROUNDING:
        raise UsageError(f"the fractions must add up to 1 at most, got {total:.6g}")
    # Of fractions that add up to 1, what rounding leaves over is of no use elsewhere.
    options.is_rest_used = options.val_frac is None or math.isclose(total, 1)
    options.fractions = dict(zip(SPLITS, fractions, strict=True))
    options.output_dir = options.output_dir or options.dir
    return options


def run(options: argparse.Namespace) -> None:
    """Does what the flags say, and prints how many images are where.

    Raises:
        UsageError: it cannot be done, and nothing was written.
    """
    if not options.dir.is_dir():
        raise UsageError(f"--dir {printable(options.dir)} is not a folder")
    start_tensorflow()
    from pix2pix_tf import data

    sources = {path.name: path for path in sorted(data.list_images(options.dir))}
    folders = [options.output_dir / split for split in SPLITS]
    found = [data.list_images(folder) for folder in folders if folder.exists()]
    present = sorted(itertools.chain.from_iterable(found))
    # What was moved is still part of the split that it was moved for.
    names = sorted({*sources, *(path.name for path in present if options.move)})
    data.print_notices([], [options.dir])  # copies have all their pages
    if not names:
        # Raises UsageError, with the suffixes that are wanted.
        data.find_examples(options.dir, flags=("--dir", ""))
    places = {
        name: options.output_dir / split / name
        for name, split in assign(names, options).items()
    }
    check(sources, present, places)
    for folder in {place.parent for place in places.values()}:
        folder.mkdir(parents=True, exist_ok=True)
        files.remove_partials(folder)
    kept = [(path, places[name]) for name, path in sources.items() if name in places]
    for path, place in tqdm.tqdm(kept, unit="image", disable=None):
        if options.move:
            _move(path, place)
        elif not place.exists():
            files.write_whole(place, path.read_bytes())
    splits = [place.parent.name for place in places.values()]
    counts = [f"{split} {splits.count(split)}" for split in ("train", "val", "test")]
    if len(names) > len(places):
        counts.append(f"in none {len(names) - len(places)}")
    num_new = len(places) - len(present)
    print(f"{', '.join(counts)}: {num_new} new, {len(present)} were there")


def assign(names: list[str], options: argparse.Namespace) -> dict[str, str]:
    """Returns {name: split} of sorted names; those beyond the fractions are not in it.

    Without --sort the same as the original's, for the same names in the same order.
    """
    splits = []
    for split, fraction in options.fractions.items():
        splits += [split] * int(fraction * len(names) + ROUNDING * len(names))
    rest = "val" if options.is_rest_used else None
    splits += [rest] * (len(names) - len(splits))
    if not options.sort:
        random.Random(options.seed).shuffle(splits)
    return {name: split for name, split in zip(names, splits, strict=True) if split}


def check(
    sources: dict[str, Path], present: list[Path], places: dict[str, Path]
) -> None:
    """Refuses what cannot be read, another split, and images that have changed since.

    Args:
        sources: by name, in --dir.
        present: the images that are in a split already.
        places: by name, in the split where an image should be.

    Raises:
        UsageError: it names all images that are in the way.
    """
    unusable = [
        path
        for path in sources.values()
        if not (path.is_file() and os.access(path, os.R_OK))
    ]
    _refuse(unusable, "cannot be read, or are no files: remove them from --dir")
    strangers = [path for path in present if places.get(path.name) != path]
    _refuse(
        strangers,
        "would not be there: --output_dir holds another split, so name another folder, "
        "or remove that split",
    )
    changed = [
        place
        for name, place in places.items()
        if name in sources
        and place.exists()
        and not filecmp.cmp(sources[name], place, shallow=False)
    ]
    _refuse(changed, "differ from --dir's: remove them, or name another --output_dir")


def _refuse(paths, problem):
    """Raises UsageError that names all the paths, if there are any."""
    names = ", ".join(f"{path.parent.name}/{path.name}" for path in paths)
    if names:
        raise UsageError(f"{printable(names)} {problem}")


def _move(source, place):
    """Moves a file, to another file system too; whole at any moment."""
    try:
        if not source.is_symlink():  # a relative link would lead elsewhere
            os.replace(source, place)
            return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    files.write_whole(place, source.read_bytes())
    source.unlink()
