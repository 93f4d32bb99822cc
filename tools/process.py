"""Prepares a folder of images: one operation on each, into another folder.

operation   what it writes
resize      the middle square (--pad: all of it, with black bars), at --size pixels
grayscale   the image without its colours
blank       the image, which must be square, with a white square in its middle
combine     pairs for training: the image left, its namesake in --b_dir right
edges       its lines, black on white: by Canny's detector, or with --hed_weights by HED

It reads the files that docs/formats.md lists, and drops transparency. What is in
--output_dir already is left as it is, whatever flags made it.
HED's weights are an .npz or .h5 file of NAME/kernel [height, width, from, to] and
NAME/bias for conv1_1 ... conv5_3, score_dsn1 ... score_dsn5 and fuse, for BGR input.
"""

import collections
import concurrent.futures
import contextlib
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tqdm

from pix2pix_tf.runtime import command, files
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.runtime.start import start_tensorflow

OPERATIONS = ("grayscale", "resize", "blank", "combine", "edges")
BLANK_SHARE = 0.3  # of the side; as the original
MAX_SIZE = 16384  # pixels of a side
MAX_WORKERS = 256
JPEG_QUALITY = 95  # as the original's tools


class Job(NamedTuple):
    """One image to write."""

    source: Path
    partner: Path | None  # the right image of a pair
    destination: Path


class UnfitError(ValueError):
    """An image does not have the shape that an operation needs; str() says how."""


def main(argv=None):
    """Runs one command line.

    Args:
        argv: list of str, or None for the process's own.

    Returns:
        int, the exit status: 0 done, 2 wrong usage or an image that cannot be used
        (a line on stderr for each, and how many), 130 stopped by Ctrl-C.
    """
    return command.run("process", lambda: run(parse(argv)), "goes on from here")


def parse(argv=None):
    """Returns the flags of a command line, checked.

    Raises:
        UsageError: a flag is wrong.
    """
    parser = command.Parser("process", __doc__)
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


def run(options):
    """Does what the flags say.

    Raises:
        UsageError: nothing can be done and nothing was written, or some of the images
            could not be used.
    """
    for flag, folder in (("input_dir", options.input_dir), ("b_dir", options.b_dir)):
        if folder and not folder.is_dir():
            raise UsageError(f"--{flag} {printable(folder)} is not a folder")
    start_tensorflow()
    import edges

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
                bar.write(f"process: {problem}", file=sys.stderr)
    finally:
        pool.shutdown(cancel_futures=True)  # those at work end first
    print(f"processed {counts['processed']}, skipped {counts['skipped']}")
    if counts["failed"]:
        raise UsageError(
            f"{counts['failed']} of {len(jobs)} images could not be used (see above)"
        )


def plan(options):
    """Returns the list of Job of a command line; writes nothing.

    Raises:
        UsageError: it names all images that have no place or no partner.
    """
    sources = _find(options.input_dir, "--input_dir")
    for folder in (options.input_dir, options.b_dir):
        if folder and options.output_dir.resolve() == folder.resolve():
            raise UsageError(
                f"--output_dir {printable(folder)} holds what is read: name another"
            )
    namesakes = [paths for paths in _by_stem(sources).values() if len(paths) > 1]
    if namesakes:
        raise UsageError(
            "outputs would have the same name, rename one of each: "
            + "; ".join(" and ".join(map(_name, paths)) for paths in namesakes)
        )
    partners = [None] * len(sources)
    if options.operation == "combine":
        partners = find_partners(sources, options.b_dir)
    suffix = f".{options.output_filetype}"
    return [
        Job(source, partner, options.output_dir / (source.stem + suffix))
        for source, partner in zip(sources, partners, strict=True)
    ]


def find_partners(sources, b_dir):
    """Returns the image of the same stem and size in `b_dir` for each source.

    Raises:
        UsageError: it names all that have none, or more than one.
    """
    candidates = _by_stem(_find(b_dir, "--b_dir"))
    partners, problems = [], []
    for source in sources:
        try:
            partners.append(_choose_partner(source, candidates.get(source.stem, [])))
        except UsageError as error:
            problems.append(str(error))
    if problems:
        raise UsageError(
            f"{len(problems)} of {len(sources)} images do not pair with --b_dir "
            f"{printable(b_dir)}: {'; '.join(problems)}"
        )
    return partners


def _choose_partner(source, candidates):
    """Returns the only candidate, if it has the source's size."""
    from pix2pix_tf.images import codecs

    if not candidates:
        raise UsageError(f"{_name(source)} has no partner")
    if len(candidates) > 1:
        names = " and ".join(map(_name, candidates))
        raise UsageError(f"{_name(source)} has both {names}")
    [partner] = candidates
    sizes = []
    for path in (source, partner):
        with _named(path):
            height, width, _ = codecs.probe(path)
        sizes.append(f"{width}x{height}")
    left, right = sizes
    if left != right:
        raise UsageError(f"{_name(source)} is {left} and {_name(partner)} {right}")
    return partner


def _find(folder, flag):
    """Returns the images of a folder, sorted; at least one."""
    from pix2pix_tf.images import codecs

    paths = files.find(folder, codecs.SUFFIXES)
    if not paths:
        raise UsageError(
            f"{flag} {printable(folder)} has no images: wanted files ending in "
            + ", ".join(codecs.SUFFIXES)
        )
    return paths


def _by_stem(paths):
    """Returns {stem: list of Path}."""
    stems = collections.defaultdict(list)
    for path in paths:
        stems[path.stem].append(path)
    return stems


def _name(path):
    return printable(path.name)


def process(job, options, network):
    """Does one job, in any thread.

    Returns:
        ("processed" or "skipped", None), or ("failed", str: why).
    """
    from pix2pix_tf.images import pixels

    with contextlib.suppress(UsageError):  # not there, or only half a file
        _read(job.destination)
        return "skipped", None
    try:
        image = operate(job, options, network)
    except UnfitError as error:
        return "failed", f"{printable(job.source)} {error}"
    except UsageError as error:
        return "failed", str(error)
    filetype = "jpeg" if options.output_filetype == "jpg" else "png"
    encoded = pixels.encode(pixels.to_uint8(image), filetype, JPEG_QUALITY)
    files.write_whole(job.destination, encoded.numpy())
    return "processed", None


def _read(path):
    """Returns float32 [height, width, 3], in [0, 1]; UsageError names the file."""
    from pix2pix_tf.images import codecs

    with _named(path):
        return codecs.read(path)


@contextlib.contextmanager
def _named(path):
    """Turns the errors of `codecs` into UsageError that names the file."""
    from pix2pix_tf.images import codecs

    try:
        yield
    except codecs.ImageError as error:
        raise UsageError(f"{printable(path)} {error}") from None
    except OSError as error:
        reason = error.strerror
        raise UsageError(f"{printable(path)} cannot be read: {reason}") from None


def operate(job, options, network):
    """Returns the image that a job asks for: float32 [height, width, 3], in [0, 1].

    Raises:
        UsageError: a file cannot be read; it is named.
        UnfitError: the operation cannot be done on this image.
    """
    import edges

    image = _read(job.source)
    match options.operation:
        case "combine":
            return combine(image, _read(job.partner))
        case "resize":
            return resize(image, options.size, options.pad)
        case "blank":
            return blank(image)
        case "grayscale":
            return grayscale(image)
    return edges.draw_hed(image, network) if network else edges.draw_canny(image)


# Below, images are numpy float32 [height, width, 3], in [0, 1].


def combine(left, right):
    """Puts two images of one size side by side."""
    if left.shape != right.shape:  # a file changed since it was planned
        raise UnfitError("and its partner differ in size")
    return np.concatenate([left, right], axis=1)


def resize(image, size, is_padded):
    """Crops or pads an image to a square, then scales it: by area down, by bicubic up.

    TensorFlow 1's bicubic (no half-pixel centres), as the original's.
    """
    import tensorflow as tf

    from pix2pix_tf.images import pixels

    height, width, _ = image.shape
    side = max(height, width) if is_padded else min(height, width)
    if side > MAX_SIZE and is_padded:
        raise UnfitError(f"is {width}x{height}, too long to pad to {side}x{side}")
    square = tf.image.resize_with_crop_or_pad(image, side, side)
    if side > size:
        square = pixels.resize_area(square, (size, size))
    elif side < size:
        method = tf.compat.v1.image.ResizeMethod.BICUBIC
        square = tf.compat.v1.image.resize(square, [size, size], method)
    return square.numpy()


def blank(image):
    """Paints a white square in the middle, BLANK_SHARE of the side."""
    height, width, _ = image.shape
    if height != width:
        raise UnfitError(f"is {width}x{height}: blank wants a square, so resize first")
    side = int(width * BLANK_SHARE)
    start = int(width / 2 - side / 2)
    image = image.copy()
    image[start : start + side, start : start + side] = 1
    return image


def grayscale(image):
    """Replaces each colour by its luma, as TensorFlow rounds Rec. ITU-R BT.601's."""
    import tensorflow as tf

    return tf.image.grayscale_to_rgb(tf.image.rgb_to_grayscale(image)).numpy()


if __name__ == "__main__":
    sys.exit(main())
