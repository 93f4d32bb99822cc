"""Prepares a folder of images: one operation on each, into another folder.

operation   what it writes
resize      the middle square (--pad: all of it, with black bars), at --size pixels
grayscale   the image without its colours
blank       the image, which must be square, with a white square in its middle
combine     pairs for training: the image left, its namesake in --b_dir right
edges       its lines, black on white: by Canny's detector, or with --hed_weights by HED

It reads the files that docs/formats.md lists, and drops transparency. Images whose
values 8 bits cannot hold become PNG files of 16 bits. What is in --output_dir already
is left as it is, whatever flags made it.
HED's weights are an .npz or .h5 file of NAME/kernel [height, width, from, to] and
NAME/bias for conv1_1 ... conv5_3, score_dsn1 ... score_dsn5 and fuse, for BGR input.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import sys
from pathlib import Path
from typing import NamedTuple

import tqdm

from pix2pix_tf.commands.image_files import naming
from pix2pix_tf.images.arrays import ImageError
from pix2pix_tf.images.operations import MAX_SIZE, OPERATIONS
from pix2pix_tf.runtime import command, files
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.runtime.start import start_tensorflow

PROG = "pix2pix-tf process"
MAX_WORKERS = 256
JPEG_QUALITY = 95  # as the original's tools


class Job(NamedTuple):
    """One image to write, and the one or two that it is made from."""

    sources: list  # of Path; for a pair, the left and the right image
    destination: Path


def main(argv: list[str] | None = None) -> int:
    """Runs one command line; returns the exit status.

    It is 2 also for images that cannot be used: each has a line on stderr, and the
    others are processed.
    """
    return command.run(PROG, lambda: run(parse(argv)), "goes on from here")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the flags of a command line; raises UsageError for a wrong one."""
    parser = command.Parser(PROG, __doc__)
    folder = {"type": Path, "metavar": "FOLDER"}
    parser.add_argument("--input_dir", required=True, **folder)
    parser.add_argument("--output_dir", required=True, **folder)
    parser.add_argument("--operation", required=True, choices=OPERATIONS)
    parser.add_argument("--workers", type=int, default=1, help="threads (default: 1)")
    parser.add_argument("--pad", action="store_true", help="resize: do not crop")
    parser.add_argument("--size", type=int, default=256, help="resize (default: 256)")
    parser.add_argument("--b_dir", help="combine: the right images", **folder)
    parser.add_argument("--hed_weights", type=Path, metavar="FILE", help="edges: HED")
    parser.add_argument(
        "--output_filetype", choices=["png", "jpg"], default="png", help="default: png"
    )
    options = parser.parse_args(argv)
    for flag, value, largest in (
        ("--workers", options.workers, MAX_WORKERS),
        ("--size", options.size, MAX_SIZE),
    ):
        if not 1 <= value <= largest:
            raise UsageError(f"{flag} must be from 1 to {largest}, got {value}")
    if (options.operation == "combine") != (options.b_dir is not None):
        raise UsageError("--operation combine and --b_dir go together: give both")
    if options.hed_weights and options.operation != "edges":
        raise UsageError("--hed_weights goes with --operation edges: leave it out")
    return options


def run(options: argparse.Namespace) -> None:
    """Does what the flags say.

    Raises:
        UsageError: nothing can be done and nothing was written, or some of the images
            could not be used.
    """
    start_tensorflow()
    from pix2pix_tf.commands import edges

    jobs = plan(options)
    network = edges.load_hed(options.hed_weights) if options.hed_weights else None
    options.output_dir.mkdir(parents=True, exist_ok=True)
    files.remove_partials(options.output_dir)
    counts = collections.Counter()
    pool = concurrent.futures.ThreadPoolExecutor(options.workers)
    try:
        results = pool.map(lambda job: process(job, options, network), jobs)
        bar = tqdm.tqdm(results, total=len(jobs), unit="image", disable=None)
        for outcome, problem in bar:
            counts[outcome] += 1
            if problem:
                bar.write(f"{PROG}: {problem}", file=sys.stderr)
    finally:
        pool.shutdown(cancel_futures=True)  # those at work end first
    print(f"processed {counts['processed']}, skipped {counts['skipped']}")
    if counts["failed"]:
        raise UsageError(
            f"{counts['failed']} of {len(jobs)} images could not be used (see above)"
        )


def plan(options: argparse.Namespace) -> list[Job]:
    """Returns the list of Job of a command line; writes nothing.

    Raises:
        UsageError: it names all images that have no place or no partner.
    """
    stems = _find("--input_dir", options.input_dir)
    for folder in (options.input_dir, options.b_dir):
        if folder and options.output_dir.resolve() == folder.resolve():
            raise UsageError(
                f"--output_dir {printable(folder)} holds what is read: name another"
            )
    namesakes = [paths for paths in stems.values() if len(paths) > 1]
    if namesakes:
        raise UsageError(
            "outputs would have the same name, rename one of each: "
            + "; ".join(map(_names, namesakes))
        )
    sources = [paths for _, paths in sorted(stems.items())]
    if options.operation == "combine":
        sources = find_pairs(sources, options.b_dir)
    suffix = f".{options.output_filetype}"
    return [
        Job(paths, options.output_dir / files.derive_name(paths[0].stem, after=suffix))
        for paths in sources
    ]


def find_pairs(sources: list, b_dir: Path) -> list[list[Path]]:
    """Returns [left, right] of each [left]: `right` is of the same stem and size.

    Raises:
        UsageError: it names all that have none, or more than one.
    """
    from pix2pix_tf import data

    candidates = _find("--b_dir", b_dir)
    pairs, problems = [], []
    for [left] in sources:
        try:
            stem = data.normalize(left.stem)
            pairs.append([left, _choose_partner(left, candidates.get(stem, []))])
        except UsageError as error:
            problems.append(str(error))
    if problems:
        raise UsageError(
            f"{len(problems)} of {len(sources)} images do not pair with --b_dir "
            f"{printable(b_dir)}: {'; '.join(problems)}"
        )
    return pairs


def _choose_partner(source, candidates):
    from pix2pix_tf.images import codecs

    name = _names([source])
    if not candidates:
        raise UsageError(f"{name} has no partner")
    if len(candidates) > 1:
        raise UsageError(f"{name} has both {_names(candidates)}")
    [partner] = candidates
    sizes = []
    for path in (source, partner):
        with naming(path):
            height, width, _ = codecs.probe(path)
        sizes.append(f"{width}x{height}")
    if sizes[0] != sizes[1]:
        raise UsageError(f"{name} is {sizes[0]} and {_names([partner])} {sizes[1]}")
    return partner


def _find(flag, folder):
    """Returns {stem: list of Path} of the images of a folder."""
    from pix2pix_tf import data

    examples = data.find_examples(folder, flags=(flag, ""))
    data.print_notices(examples, [folder])
    stems = collections.defaultdict(list)
    for example in examples:
        [path] = example.paths
        stems[data.normalize(path.stem)].append(path)
    return stems


def _names(paths):
    return " and ".join(printable(path.name) for path in sorted(paths))


def process(job: Job, options: argparse.Namespace, network) -> tuple[str, str | None]:
    """Does one job, in any thread.

    Returns:
        (outcome, text for stderr or None): "processed", "skipped" or "failed".
    """
    from pix2pix_tf.images import codecs, operations, pixels

    with contextlib.suppress(ImageError, OSError):  # not there, or only half a file
        codecs.read(job.destination)
        return "skipped", None
    images = []
    try:
        for path in job.sources:
            with naming(path):
                images.append(codecs.read(path))
        with naming(job.sources[0]):
            image = _operate(images, options, network)
    except UsageError as error:
        return "failed", str(error)
    is_deep = operations.needs_16_bits(options.operation, images)
    is_cut = is_deep and options.output_filetype == "jpg"
    numbers = operations.to_numbers(image, is_deep and not is_cut)
    filetype = "jpeg" if options.output_filetype == "jpg" else "png"
    encoded = pixels.encode(numbers, filetype, JPEG_QUALITY)
    files.write_whole(job.destination, encoded.numpy())
    warning = f"warning: {_names(job.sources)} is cut to 8 bits, as a JPEG has no more"
    return "processed", warning if is_cut else None


def _operate(images, options, network):
    """Returns the image that the command's operation makes of one or two."""
    from pix2pix_tf.commands import edges
    from pix2pix_tf.images import operations

    if network:
        return edges.draw_hed(images[0], network)
    return operations.operate(options.operation, images, options.size, options.pad)
