"""Measures images against others of the same names, as test mode does.

    pix2pix-tf score outputs targets
    pix2pix-tf score runs/facades-test --fid_weights imagenet
    pix2pix-tf score runs/a-test runs/b-test
    pix2pix-tf score --parts runs/a-test

The first compares two folders of images, whose names are equal except for the suffix.
The second measures the outputs that a test wrote against the targets beside them. Given
two folders, a folder that a test wrote stands for its outputs: the third measures how
much the outputs of two tests differ. The fourth merges the parts of a test, which
`--shard` wrote, into what one test of all images writes. A table is printed; with
--output_dir, `metrics.json` and `metrics.csv` are written there.
"""

import argparse
import concurrent.futures
import os
from pathlib import Path

from pix2pix_tf.commands.image_files import read, written_images
from pix2pix_tf.runtime import command
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.runtime.start import start_tensorflow

PROG = "pix2pix-tf score"


def main(argv: list[str] | None = None) -> int:
    """Runs one command line; returns the exit status, 2 if images cannot be used."""
    return command.run(PROG, lambda: run(parse(argv)))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser(PROG, __doc__)
    add = parser.add_argument
    text = "a folder of images, or one that a test wrote"
    add("outputs", type=Path, nargs="?", help=text)
    add("targets", type=Path, nargs="?", help="the same (default: the test's targets)")
    text = "merge the parts that test mode wrote in these folders with --shard"
    add("--parts", type=Path, nargs="+", metavar="FOLDER", help=text)
    text = "where to write (default: nowhere; of --parts, their folder)"
    add("--output_dir", type=Path, help=text)
    home = os.path.expanduser
    text = "measure FID and KID too: imagenet, or a file of weights"
    add("--fid_weights", type=home, help=text)
    text = "measure LPIPS too: a file that pix2pix-tf convert --to lpips wrote"
    add("--lpips_weights", type=home, help=text)
    text = "score label maps too: targets, or a file of NAME,R,G,B"
    add("--palette", type=home, help=text)
    given = parser.parse_args(argv)
    if (given.outputs is None) == (given.parts is None):
        raise UsageError("wanted either a folder of outputs, or --parts")
    if given.parts and given.output_dir is None:
        if len(given.parts) > 1:
            raise UsageError("--parts of several folders needs --output_dir")
        given.output_dir = given.parts[0]
    return given


def run(given: argparse.Namespace) -> None:
    """Does what the flags say; raises UsageError for images that cannot be used."""
    start_tensorflow()
    from pix2pix_tf import metrics

    set_scorer = metrics.SetScorer(given.fid_weights, given.palette)
    scores = metrics.Scores(metrics.open_lpips(given.lpips_weights))
    if given.parts:
        from pix2pix_tf.commands import parts

        return parts.merge(given.parts, given.output_dir, scores, set_scorer)
    pairs = find_pairs(given.outputs, given.targets)

    def add(name):
        output, target = (read(path, keeps_depth=True) for path in pairs[name])
        if output.shape != target.shape:
            sizes = (f"{p.shape[1]}x{p.shape[0]}" for p in (output, target))
            raise UsageError(f"{printable(name)} has two sizes: {' and '.join(sizes)}")
        scores.add(name, output, target)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(add, pairs))

    def read_all(kind):
        place = ("outputs", "targets").index(kind)
        return (read(paths[place]) for paths in pairs.values())

    measures = set_scorer.measure(read_all, len(pairs))
    if given.output_dir:
        given.output_dir.mkdir(parents=True, exist_ok=True)
    metrics.report(given.output_dir, list(pairs), scores, measures)


def find_pairs(
    outputs_dir: Path, targets_dir: Path | None
) -> dict[str, tuple[Path, Path]]:
    """Returns {name: (path of the output, path of the target)}.

    Args:
        targets_dir: None for the targets beside the outputs of a test.

    Raises:
        UsageError: there is nothing, or an image has no partner.
    """
    from pix2pix_tf import data

    outputs = find_images(outputs_dir, "outputs")
    if targets_dir is None:
        targets = written_images(outputs_dir, "targets")
        if not targets:
            raise UsageError(
                f"{printable(outputs_dir)} has no images/*-targets.png, as test mode "
                "writes: give a folder of targets, too"
            )
    else:
        targets = find_images(targets_dir, "targets")
    alone = sorted(outputs.keys() ^ targets.keys())
    if alone:
        places = f"{outputs_dir} and {targets_dir}" if targets_dir else f"{outputs_dir}"
        raise UsageError(
            f"{len(alone)} of {len(outputs | targets)} names lack an output or a "
            f"target: {data.list_names([*map(printable, alone)])}; "
            f"{printable(places)} must have both of each name"
        )
    return {name: (outputs[name], targets[name]) for name in outputs}


def find_images(folder: Path, argument: str) -> dict[str, Path]:
    """Returns {name: path} of a folder's images, or of the outputs of a test.

    Args:
        argument: the one that gave the folder, for errors.
    """
    from pix2pix_tf import data

    written = written_images(folder, "outputs")
    if written:
        return written
    examples = data.find_examples(folder, flags=(argument, ""))
    data.print_notices(examples, [folder])
    return {data.normalize(example.name): example.paths[0] for example in examples}
