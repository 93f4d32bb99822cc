"""Translates images by a model, here or on a server: one file for each image.

IMAGE is a file, a folder or a pattern such as 'a/*.png'. For targets, metrics and a
page of images there is `pix2pix-tf test`.
"""

import argparse
from pathlib import Path

from pix2pix_tf.commands.image_files import naming
from pix2pix_tf.runtime import command, files, messages
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.runtime.start import start_tensorflow

ENDING = "-output"
ROOM = len(ENDING) + len(".jpg")


def main(argv: list[str] | None = None) -> int:
    """Runs one command line; returns the exit status."""
    return command.run("pix2pix-tf predict", lambda: _run(parse(argv)))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser("pix2pix-tf predict", __doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--model",
        type=Path,
        metavar="MODEL",
        help="the folder of a run, of its model-best or of an export, one of its files "
        "(FOLDER/model-STEP, model_int8.tflite), or a .pict, .pth, .pt or .safetensors "
        "file",
    )
    where.add_argument(
        "--url",
        metavar="URL",
        help="a server: http://HOST:PORT/v1/models/NAME or grpc://HOST:PORT/NAME",
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument(
        "--output_dir",
        type=Path,
        default=Path("."),
        metavar="FOLDER",
        help="where NAME-output.png is written (default: here)",
    )
    of_model = parser.add_argument_group("with --model")
    of_model.add_argument(
        "--full_size",
        action="store_true",
        help="generate at the size of each image, not at the model's",
    )
    of_model.add_argument(
        "--dropout", action="store_true", help="with dropout, as in training"
    )
    of_model.add_argument("--seed", type=int, help="of dropout (default: 0)")
    of_model.add_argument(
        "--which_direction",
        choices=["AtoB", "BtoA"],
        help="the direction of a file that does not store it (default: AtoB)",
    )
    given = parser.parse_args(argv)
    flags = ("full_size", "dropout", "seed", "which_direction")
    decided = [f"--{flag}" for flag in flags if getattr(given, flag)]
    if given.url and decided:
        raise UsageError(
            f"{', '.join(decided)}: with --url the server's export decides it, leave "
            "it out"
        )
    return given


def _run(given):
    start_tensorflow()
    examples = _find(given.images, given.output_dir)
    translate_file = _open(given)
    given.output_dir.mkdir(parents=True, exist_ok=True)
    bar = messages.Bar("image", len(examples))
    for place, path in examples.items():
        with naming(path):
            output = translate_file(path.read_bytes())
        ending = ".png" if output.startswith(b"\x89PNG") else ".jpg"
        place = place.with_name(place.name + ending)
        files.write_whole(place, output)
        messages.say(f"wrote {printable(place)}")
        bar.advance()
    bar.close()


def _find(images, output_dir):
    """Returns {path of an output, without its suffix: path of its image}."""
    from pix2pix_tf import data

    found = {}
    for image in images:
        for example in data.find_examples(
            image, is_one_enough=True, flags=("IMAGE", "")
        ):
            name = files.derive_name(example.name.replace("/", "-"), room=ROOM)
            [path] = example.paths
            other = found.setdefault(output_dir / f"{name}{ENDING}", path)
            if other is not path:
                raise UsageError(
                    f"{printable(path)} and {printable(other)} would both be written "
                    "to the same file: give them one by one"
                )
    return found


def _open(given):
    """Returns the function that maps the bytes of an image file to the output's."""
    if given.url:
        from pix2pix_tf.inference.remote import Remote

        return Remote(given.url).translate_file
    from pix2pix_tf.inference.load import load

    translator = load(given.model, given.which_direction)
    settings = {"dropout": given.dropout, "seed": given.seed or 0}
    if given.full_size:
        settings["full_size"] = True
    return lambda contents: translator.translate_file(contents, **settings)
