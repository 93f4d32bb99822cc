"""Measures pictures against others of the same names, as test mode does.

    python tools/score.py outputs targets
    python tools/score.py runs/facades-test --fid_weights imagenet

The first compares two folders, file by file: names are equal but for their endings. The
second measures what a test wrote once more. A table is printed; with --output_dir,
`metrics.json` and `metrics.csv` are written there.
"""

import concurrent.futures
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # without an installation too

from pix2pix_tf.runtime import command, files
from pix2pix_tf.runtime.command import Parser
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.runtime.start import start_tensorflow


def main(argv=None):
    """Runs one command line.

    Args:
        argv: list of str, or None for the process's own.

    Returns:
        int, the exit status: 0 done, 2 wrong usage or unusable input (one line on
        stderr), 130 stopped by Ctrl-C.
    """
    return command.run("score", lambda: run(parse(argv)))


def parse(argv=None):
    """Returns the flags of a command line.

    Raises:
        UsageError: a flag is wrong.
    """
    parser = Parser("score", __doc__)
    add = parser.add_argument
    add("outputs", type=Path, help="a folder of pictures, or what a test wrote")
    add("targets", type=Path, nargs="?", help="a folder; not for what a test wrote")
    add("--output_dir", type=Path, help="where to write; nowhere")
    add("--fid_weights", help="FID and KID too: imagenet, or a file")
    add("--palette", help="label scores too: targets, or a file of NAME,R,G,B")
    return parser.parse_args(argv)


def run(given):
    """Does what the flags say.

    Raises:
        UsageError: pictures or flags cannot be used.
    """
    start_tensorflow()
    from pix2pix_tf import metrics

    pairs = find_pairs(given.outputs, given.targets)
    set_scorer = metrics.SetScorer(given.fid_weights, given.palette)
    scores = metrics.Scores()

    def add(name):
        output, target = (read(path) for path in pairs[name])
        if output.shape != target.shape:
            sizes = (f"{p.shape[1]}x{p.shape[0]}" for p in (output, target))
            raise UsageError(f"{printable(name)} has two sizes: {' and '.join(sizes)}")
        scores.add(name, output, target)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(add, pairs))

    def read_all(kind):
        place = ("outputs", "targets").index(kind)
        return (read(paths[place]) for paths in pairs.values())

    def measure_sets():
        return set_scorer.measure(read_all, len(pairs))

    if given.output_dir:
        given.output_dir.mkdir(parents=True, exist_ok=True)
    metrics.report(given.output_dir, list(pairs), scores, measure_sets)


def find_pairs(outputs_dir, targets_dir):
    """Returns {name: (path of the output, path of its target)}, sorted by name.

    Args:
        outputs_dir: Path.
        targets_dir: Path, or None where the first is the folder of a test.

    Raises:
        UsageError: there is nothing, or something has no partner.
    """
    if targets_dir is None:
        ending = "-outputs.png"
        folder = outputs_dir / "images"
        paths = sorted(folder.rglob(f"*{ending}"))
        outputs = {_name(path, folder).removesuffix("-outputs"): path for path in paths}
        targets = {
            name: path.with_name(path.name.removesuffix(ending) + "-targets.png")
            for name, path in outputs.items()
        }
        targets = {name: path for name, path in targets.items() if path.is_file()}
    else:
        outputs, targets = _by_name(outputs_dir), _by_name(targets_dir)
    alone = sorted(set(outputs) ^ set(targets))
    if alone or not outputs:
        where = printable(outputs_dir)
        raise UsageError(
            f"{where} has no pictures: wanted a folder of them, or what a test wrote"
            if not outputs
            else f"{len(alone)} of {len(set(outputs) | set(targets))} names lack an "
            f"output or a target: {', '.join(map(printable, alone[:5]))}"
        )
    return {name: (outputs[name], targets[name]) for name in sorted(outputs)}


def _by_name(folder):
    from pix2pix_tf.images.codecs import SUFFIXES

    if not folder.is_dir():
        raise UsageError(f"{printable(folder)} is not a folder")
    found = {}
    for path in files.find(folder, SUFFIXES):
        other = found.setdefault(_name(path, folder), path)
        if other != path:
            raise UsageError(f"{printable(path)} and {printable(other)} are one name")
    return found


def _name(path, folder):
    return path.relative_to(folder).with_suffix("").as_posix()


def read(path):
    """Returns uint8 [height, width, 3] of a picture file.

    Raises:
        UsageError: it is none; it is named.
    """
    from pix2pix_tf.images import codecs, pixels

    try:
        return pixels.to_uint8(codecs.read(path)).numpy()
    except codecs.ImageError as error:
        raise UsageError(f"{printable(path)} {error}") from None


if __name__ == "__main__":
    sys.exit(main())
