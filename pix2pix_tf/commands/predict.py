"""Translates images by a model, here or on a server: one file for each image.

IMAGE is a file, a folder or a pattern such as 'a/*.png'. For targets, metrics and a
page of images there is `pix2pix-tf test`.
"""

import argparse
import dataclasses
import hashlib
from pathlib import Path

from pix2pix_tf.commands.image_files import naming
from pix2pix_tf.options import add_tiling_flags, given_tiling
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
    add_tiling_flags(
        parser,
        "for images of any size, with --model",
        "generate larger images at their own size, by tiles of this side (default: no "
        "tiles)",
    )
    given = parser.parse_args(argv)
    given.tiling = given_tiling(given)
    flags = ("full_size", "dropout", "seed", "which_direction", "tile")
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
    translate = _open(given)
    given.output_dir.mkdir(parents=True, exist_ok=True)
    bar = messages.Bar("image", len(examples))
    for place, path in examples.items():
        with naming(path):
            written = translate(path, place)
        messages.say(f"wrote {printable(written)}")
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
    """Returns the function that translates the image at a path to a place.

    The place has no suffix; the function returns the path that it wrote.
    """
    if given.url:
        from pix2pix_tf.inference.remote import Remote

        remote = Remote(given.url)
        return lambda path, place: _write(
            place, remote.translate_file(path.read_bytes())
        )
    from pix2pix_tf.inference.load import load

    translator = load(given.model, given.which_direction)
    settings = {"dropout": given.dropout, "seed": given.seed or 0}
    if given.tiling is not None:
        return _by_tiles(given, translator, settings)
    if given.full_size:
        settings["full_size"] = True

    def translate(path, place):
        return _write(place, translator.translate_file(path.read_bytes(), **settings))

    return translate


def _write(place, output):
    """Writes the bytes of an image file; returns its path."""
    path = place.with_name(
        place.name + (".png" if output[:4] == b"\x89PNG" else ".jpg")
    )
    files.write_whole(path, output)
    return path


def _digest(generator):
    """Returns a hash of a generator's weights, which a run may change meanwhile."""
    from pix2pix_tf import networks

    digest = hashlib.sha256()
    # By name, because dropout's seeds are variables too, and new in each process.
    for variable in networks.variables_by_name(generator).values():
        digest.update(variable.numpy().tobytes())
    return digest.hexdigest()


def _by_tiles(given, translator, settings):
    from pix2pix_tf.images import windows
    from pix2pix_tf.inference import large
    from pix2pix_tf.inference.tiles import Tiling

    tiling = Tiling(*given.tiling)
    translator.check_tiling(tiling)
    channels = translator.image_channels
    weights = _digest(translator.generator)

    def translate(path, place):
        with windows.open_image(path, channels) as image:
            size = image.height, image.width
            if tiling.is_one(*size):
                contents = path.read_bytes()
                output = translator.translate_file(contents, full_size=True, **settings)
                return _write(place, output)
            suffix = ".tif" if large.is_tiff(*size) else ".png"
            stat = path.stat()
            job = settings | dataclasses.asdict(tiling)
            job |= {"weights": weights, "image": str(path.absolute())}
            job |= {"bytes": stat.st_size, "changed": stat.st_mtime_ns}
            bar = messages.Bar("band", tiling.num_bands(image.height))

            def bands(first):
                bar.advance(first)
                for band in translator.bands(image, tiling, first=first, **settings):
                    yield band
                    bar.advance()

            output = place.with_name(place.name + suffix)
            shape = (*size, translator.output_channels)
            large.write(output, shape, bands, job, path)
            bar.close()
            return output

    return translate
