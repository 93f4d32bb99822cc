"""Translates images by a trained model: one PNG for each image.

MODEL is the folder of a run, its model-best, FOLDER/model-STEP, or a .pict, .pth, .pt
or .safetensors file. IMAGE is a file, a folder or a pattern such as 'a/*.png'. For
targets, metrics and a page of images there is `pix2pix-tf test`.
"""

import argparse
import io
from pathlib import Path

from pix2pix_tf.runtime import command, files, messages
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.runtime.start import start_tensorflow

ENDING = "-output.png"


def main(argv: list[str] | None = None) -> int:
    """Runs one command line; returns the exit status."""
    return command.run("predict", lambda: _run(parse(argv)))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser("predict", __doc__)
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument(
        "--output_dir",
        type=Path,
        default=Path("."),
        metavar="FOLDER",
        help="where NAME-output.png is written (default: here)",
    )
    parser.add_argument(
        "--full_size",
        action="store_true",
        help="generate at the size of each image, not at the model's",
    )
    parser.add_argument(
        "--dropout", action="store_true", help="with dropout, as in training"
    )
    parser.add_argument("--seed", type=int, default=0, help="of dropout (default: 0)")
    parser.add_argument(
        "--which_direction",
        choices=["AtoB", "BtoA"],
        help="the direction of a file that does not store it (default: AtoB)",
    )
    return parser.parse_args(argv)


def _run(given):
    start_tensorflow()
    from pix2pix_tf import data
    from pix2pix_tf.inference.load import load

    examples = [
        example
        for image in given.images
        for example in data.find_examples(
            image, is_one_enough=True, flags=("IMAGE", "")
        )
    ]
    places = {}
    for example in examples:
        name = files.derive_name(example.name.replace("/", "-"), room=len(ENDING))
        other = places.setdefault(given.output_dir / f"{name}{ENDING}", example)
        if other is not example:
            raise UsageError(
                f"{printable(example.paths[0])} and {printable(other.paths[0])} would "
                "both be written to the same file: give them one by one"
            )
    translate = load(given.model, given.which_direction)
    given.output_dir.mkdir(parents=True, exist_ok=True)
    for path, example in places.items():
        output = translate(
            example.paths[0], given.full_size, given.dropout, seed=given.seed
        )
        png = io.BytesIO()
        output.save(png, "PNG")
        files.write_whole(path, png.getvalue())
        messages.say(f"wrote {printable(path)}")
