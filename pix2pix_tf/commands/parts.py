"""Merges the parts of a test (`--shard`) into what one test of all images writes."""

import concurrent.futures
import os
import re
import shutil
from pathlib import Path
from typing import NamedTuple

from pix2pix_tf import data, metrics
from pix2pix_tf.commands.image_files import read
from pix2pix_tf.inference import evaluate, gallery
from pix2pix_tf.metrics.report import read_names
from pix2pix_tf.options import OPTIONS_NAME, read_options
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable

FOLDER = re.compile(r"part-(\d+)-of-(\d+)")
MAY_DIFFER = ("shard", "output_dir", "quiet")


class Part(NamedTuple):
    """One part of a test: its folder, and the names of its images."""

    folder: Path
    names: list  # of str, in order


def merge(
    folders: list[Path],
    output_dir: Path,
    scores: metrics.Scores,
    set_scorer: metrics.SetScorer,
) -> None:
    """Writes images, metrics and the page of all parts to one folder.

    Images are linked, or copied where the file system has no hard links. They are
    measured again, in their order, so all figures are those of one test of all images.

    Args:
        folders: with the folders of parts, or these themselves.
        output_dir: the folder; it may be one of these.
        scores: of no image yet; they decide whether LPIPS is measured.
        set_scorer: for the metrics of all images together.

    Raises:
        UsageError: a part is missing, twice there, not finished, or of another test.
    """
    parts, options = find(folders)
    metrics.remove_report(output_dir)
    places = [(part.folder, gallery.Row(name)) for part in parts for name in part.names]

    def add(place):
        folder, row = place
        for kind in gallery.KINDS:
            _link(folder, output_dir, row, kind)
        images = [
            read(gallery.image_path(output_dir, row, kind), keeps_depth=True)
            for kind in ("outputs", "targets")
        ]
        scores.add(row.name, *images)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(add, places))
    rows = [row for _, row in places]
    checkpoint = options["checkpoint"]
    evaluate.write_page(output_dir, rows, gallery.KINDS, scores, checkpoint)
    evaluate.report(output_dir, rows, scores, set_scorer)


def find(folders: list[Path]) -> tuple[list[Part], dict]:
    """Returns the parts in their order, and the options of the first.

    Raises: as `merge`.
    """
    places = sorted(_find_folders(folders))
    if not places:
        raise UsageError(
            f"--parts {printable(folders[0])} has no folders part-I-of-N, as test mode "
            "writes with --shard I/N"
        )
    counts = sorted({count for _, count, _ in places})
    if len(counts) > 1:
        texts = " and ".join(f"of {count}" for count in counts)
        raise UsageError(f"--parts has parts of several tests, {texts}: wanted one")
    [count], numbers = counts, [number for number, _, _ in places]
    if numbers != list(range(count)):
        missing = [f"{one}/{count}" for one in range(count) if one not in set(numbers)]
        what = f"lacks {data.list_names(missing)}" if missing else "has a part twice"
        raise UsageError(
            f"--parts {what}: wanted each of 0/{count} to {count - 1}/{count} once"
        )
    all_options = [read_options(folder / OPTIONS_NAME) for _, _, folder in places]
    _check_alike(all_options, count)
    return [Part(folder, read_names(folder)) for _, _, folder in places], all_options[0]


def _find_folders(folders):
    """Yields (number, count, folder) of the parts in folders, or that these are."""
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"--parts {printable(folder)} is not a folder")
        is_part = FOLDER.fullmatch(folder.name)
        for path in [folder] if is_part else folder.iterdir():
            if match := FOLDER.fullmatch(path.name):
                yield int(match[1]), int(match[2]), path


def _check_alike(all_options, count):
    """Raises UsageError if the flags of two parts differ where they must not."""
    first = all_options[0]
    may_differ = {*MAY_DIFFER}
    if first["no_dropout"] or not first["dropout"]:
        may_differ.add("seed")
    for number, options in enumerate(all_options):
        for name in sorted(first.keys() | options.keys()):
            if name not in may_differ and options.get(name) != first.get(name):
                raise UsageError(
                    f"--parts: 0/{count} has --{name} {first.get(name)}, and "
                    f"{number}/{count} {options.get(name)}: test one of them again"
                )


def _link(folder, output_dir, row, kind):
    """Links an image of a part into the folder of all, or copies it."""
    source = gallery.image_path(folder, row, kind)
    target = gallery.image_path(output_dir, row, kind)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise UsageError(
            f"{printable(source)} is missing: test this part again"
        ) from None
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
