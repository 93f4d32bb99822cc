"""Prepares a folder of pictures: one operation on each, into another folder.

operation   what it writes
resize      the middle square (--pad: all of it, with black bars), at --size pixels
grayscale   the picture without its colours
blank       the picture, which must be square, with a white square in its middle
combine     pairs for training: the picture left, its namesake in --b_dir right
edges       its lines, black on white: by Canny's detector, or with --hed_weights by HED

It reads .jpg, .jpeg, .png, .bmp, .gif, .webp, .tif, .tiff and .npy files, and drops
transparency. What is in --output_dir already is left as it is, whatever flags made it.
HED's weights are an .npz or .h5 file of NAME/kernel [height, width, from, to] and
NAME/bias for conv1_1 ... conv5_3, score_dsn1 ... score_dsn5 and fuse, for BGR input.
"""

import concurrent.futures
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))  # without an installation too

import numpy as np
import tqdm

from pix2pix_tf.runtime import command, files
from pix2pix_tf.runtime.command import Parser
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.runtime.start import start_tensorflow

OPERATIONS = ("grayscale", "resize", "blank", "combine", "edges")
BLANK_SHARE = 0.3  # of the side; as the original
MAX_SIZE = 16384  # pixels of a side
MAX_WORKERS = 256
JPEG_QUALITY = 95  # as the original's tools


class Job(NamedTuple):
    """One picture to write."""

    source: Path
    partner: Path | None  # the right picture of a pair
    destination: Path


def main(argv=None):
    """Runs one command line.

    Args:
        argv: list of str, or None for the process's own.

    Returns:
        int, the exit status: 0 done, 2 wrong usage or a picture that cannot be used
        (a line on stderr for each, and how many), 130 stopped by Ctrl-C.
    """
    return command.run("process", lambda: run(parse(argv)), "goes on from here")


def parse(argv=None):
    """Returns the flags of a command line, checked.

    Raises:
        UsageError: a flag is wrong.
    """
    parser = Parser("process", __doc__)
    folder = {"type": Path, "metavar": "FOLDER"}
    parser.add_argument("--input_dir", required=True, **folder)
    parser.add_argument("--output_dir", required=True, **folder)
    parser.add_argument("--operation", required=True, choices=OPERATIONS)
    parser.add_argument(
        "--workers", type=int, default=1, help="pictures at the same time; 1"
    )
    parser.add_argument("--pad", action="store_true", help="resize: do not crop")
    parser.add_argument("--size", type=int, default=256, help="resize: pixels; 256")
    parser.add_argument("--b_dir", help="combine: the right pictures", **folder)
    parser.add_argument("--hed_weights", type=Path, metavar="FILE", help="edges: HED")
    parser.add_argument(
        "--output_filetype", choices=["png", "jpg"], default="png", help="png"
    )
    options = parser.parse_args(argv)
    for name, largest in (("workers", MAX_WORKERS), ("size", MAX_SIZE)):
        value = getattr(options, name)
        if not 1 <= value <= largest:
            raise UsageError(f"--{name} must be from 1 to {largest}, got {value}")
    if (options.operation == "combine") != (options.b_dir is not None):
        raise UsageError("--operation combine and --b_dir go together: give both")
    if options.hed_weights and options.operation != "edges":
        raise UsageError("--hed_weights goes with --operation edges: leave it out")
    return options


def run(options):
    """Does what the flags say; returns the exit status.

    Raises:
        UsageError: nothing can be done, and nothing was written.
    """
    for flag, folder in (("input_dir", options.input_dir), ("b_dir", options.b_dir)):
        if folder and not folder.is_dir():
            raise UsageError(f"--{flag} {printable(folder)} is not a folder")
    start_tensorflow()
    from pix2pix_tf import edges

    jobs = plan(options)
    network = edges.load_hed(options.hed_weights) if options.hed_weights else None
    options.output_dir.mkdir(parents=True, exist_ok=True)
    files.remove_partials(options.output_dir)
    pool = concurrent.futures.ThreadPoolExecutor(options.workers)
    try:
        results = pool.map(lambda job: do(job, options, network), jobs)
        counts = _follow(results, len(jobs))
    finally:
        pool.shutdown(cancel_futures=True)  # those at work end first
    print(f"processed {counts['processed']}, skipped {counts['skipped']}")
    if counts["failed"]:
        raise UsageError(
            f"{counts['failed']} of {len(jobs)} pictures could not be used (see above)"
        )
    return 0


def _follow(results, total):
    """Shows progress and problems; returns {"processed", "skipped", "failed": int}."""
    counts = {"processed": 0, "skipped": 0, "failed": 0}
    for kind, problem in tqdm.tqdm(results, total=total, unit="image", disable=None):
        counts[kind] += 1
        if problem:
            tqdm.tqdm.write(f"process: {problem}", file=sys.stderr)
    return counts


# ---------------------------------------------------------------------------
# Which pictures
# ---------------------------------------------------------------------------


def plan(options):
    """Returns the list of Job of a command line; writes nothing.

    Raises:
        UsageError: it names all pictures that have no place or no partner.
    """
    sources = _list(options.input_dir, "--input_dir")
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
    """Returns the picture of the same stem and size in `b_dir` for each source.

    Raises:
        UsageError: it names all that have none, or more than one.
    """
    others = _by_stem(_list(b_dir, "--b_dir"))
    partners, problems = [], []
    for source in sources:
        found = others.get(source.stem, [])
        if len(found) == 1:
            partners.append(found[0])
            problem = _compare_sizes(source, found[0])
        elif found:
            problem = f"{_name(source)} has both {' and '.join(map(_name, found))}"
        else:
            problem = f"{_name(source)} has no partner"
        if problem:
            problems.append(problem)
    if problems:
        raise UsageError(
            f"{len(problems)} of {len(sources)} pictures do not pair with --b_dir "
            f"{printable(b_dir)}: {'; '.join(problems)}"
        )
    return partners


def _compare_sizes(source, partner):
    """Returns why two pictures cannot stand side by side, or None."""
    from pix2pix_tf.images import codecs

    sizes = []
    for path in (source, partner):
        try:
            height, width, _ = codecs.probe(path)
        except (codecs.ImageError, OSError) as error:
            return f"{printable(path)} {error}"
        sizes.append(f"{width}x{height}")
    if sizes[0] == sizes[1]:
        return None
    return f"{_name(source)} is {sizes[0]} and {_name(partner)} {sizes[1]}"


def _list(folder, flag):
    from pix2pix_tf.images import codecs

    paths = files.find(folder, codecs.SUFFIXES)
    if not paths:
        raise UsageError(
            f"{flag} {printable(folder)} has no pictures: wanted files ending in "
            + ", ".join(codecs.SUFFIXES)
        )
    return paths


def _by_stem(paths):
    """Returns {stem: list of Path}."""
    stems = {}
    for path in paths:
        stems.setdefault(path.stem, []).append(path)
    return stems


def _name(path):
    return printable(path.name)


# ---------------------------------------------------------------------------
# One picture
# ---------------------------------------------------------------------------


def do(job, options, network):
    """Does one job, in any thread.

    Returns:
        ("processed" or "skipped", None), or ("failed", str: why).
    """
    from pix2pix_tf.images import pixels

    if _is_whole(job.destination):
        return "skipped", None
    try:
        picture = operate(job, options, network)
    except UsageError as error:
        return "failed", str(error)
    filetype = "jpeg" if options.output_filetype == "jpg" else "png"
    encoded = pixels.encode(pixels.to_uint8(picture), filetype, JPEG_QUALITY)
    files.write_whole(job.destination, encoded.numpy())
    return "processed", None


def _is_whole(path):
    """Returns whether a picture is there and decodes."""
    try:
        _read(path)
    except UsageError:
        return False
    return True


def _read(path):
    """Returns float32 [height, width, 3] in [0, 1]."""
    from pix2pix_tf.images import codecs

    try:
        return codecs.read(path)
    except codecs.ImageError as error:
        raise UsageError(f"{printable(path)} {error}") from None
    except OSError as error:
        raise UsageError(
            f"{printable(path)} cannot be read: {error.strerror}"
        ) from None


def operate(job, options, network):
    """Returns the picture that a job asks for: float32 [height, width, 3] in [0, 1].

    Raises:
        UsageError: it says which file cannot be used, and why.
    """
    from pix2pix_tf import edges

    picture = _read(job.source)
    try:
        if options.operation == "combine":
            return combine(picture, _read(job.partner))
        if options.operation == "resize":
            return resize(picture, options.size, options.pad)
        if options.operation == "blank":
            return blank(picture)
        if options.operation == "grayscale":
            return grayscale(picture)
    except UnfitError as error:
        raise UsageError(f"{printable(job.source)} {error}") from None
    return edges.draw_hed(picture, network) if network else edges.draw_canny(picture)


# Below, pictures are numpy float32 [height, width, 3], in [0, 1].


class UnfitError(ValueError):
    """A picture has not the shape that an operation needs; str() says how."""


def combine(left, right):
    """Puts two pictures of one size side by side."""
    if left.shape != right.shape:  # a file changed since it was planned
        raise UnfitError("and its partner differ in size")
    return np.concatenate([left, right], axis=1)


def resize(picture, size, is_padded):
    """Makes a picture square, then scales it: by area down, by bicubic up.

    TensorFlow 1's bicubic (no half-pixel centres), as the original's.
    """
    import tensorflow as tf

    from pix2pix_tf.images import pixels

    square = pad_to_square(picture) if is_padded else crop_to_square(picture)
    if len(square) > size:
        return pixels.resize_area(square, (size, size)).numpy()
    if len(square) < size:
        method = tf.compat.v1.image.ResizeMethod.BICUBIC
        return tf.compat.v1.image.resize(square, [size, size], method).numpy()
    return square


def crop_to_square(picture):
    """Cuts out the square in the middle."""
    height, width, _ = picture.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return picture[top : top + side, left : left + side]


def pad_to_square(picture):
    """Adds black on both sides of the shorter direction."""
    height, width, _ = picture.shape
    side = max(height, width)
    if side > MAX_SIZE:
        raise UnfitError(f"is {width}x{height}, too long to pad to {side}x{side}")
    top, left = (side - height) // 2, (side - width) // 2
    rest = (side - height - top, side - width - left)
    return np.pad(picture, [(top, rest[0]), (left, rest[1]), (0, 0)])


def blank(picture):
    """Paints a white square in the middle, BLANK_SHARE of the side."""
    height, width, _ = picture.shape
    if height != width:
        raise UnfitError(f"is {width}x{height}: blank wants a square, so resize first")
    side = int(width * BLANK_SHARE)
    start = int(width / 2 - side / 2)
    picture = picture.copy()
    picture[start : start + side, start : start + side] = 1
    return picture


def grayscale(picture):
    """Replaces each colour by its luma (Rec. 601, TensorFlow's rounding)."""
    import tensorflow as tf

    return tf.image.grayscale_to_rgb(tf.image.rgb_to_grayscale(picture)).numpy()


if __name__ == "__main__":
    sys.exit(main())
