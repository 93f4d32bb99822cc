"""The models that a server offers: names, versions, and what a page needs to know."""

import dataclasses
from pathlib import Path

from pix2pix_tf.images import codecs
from pix2pix_tf.images.arrays import ImageError
from pix2pix_tf.inference import exported, model_card
from pix2pix_tf.inference.load import Translator, load
from pix2pix_tf.inference.tiles import Tiling
from pix2pix_tf.metrics import label_maps
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable


@dataclasses.dataclass(frozen=True)
class Model:
    """A model, its name in URLs and its version; `folder` has its files."""

    name: str
    version: str
    folder: Path
    translator: Translator
    tiling: Tiling | None = None

    def translate(self, contents: bytes, max_pixels: int) -> bytes:
        """Translates the bytes of an image file.

        Raises:
            ImageError: they are not an image, or one of more pixels.
        """
        height, width, channels = codecs.probe_bytes(contents)
        num_pixels, max_numbers = height * width, 4 * max_pixels
        if num_pixels > max_pixels or num_pixels * channels > max_numbers:
            raise ImageError(
                f"has {width}x{height} pixels, {channels} channels: wanted at most "
                f"{max_pixels} pixels and {max_numbers} numbers"
            )
        return self.translator.translate_file(contents, tiling=self.tiling)

    def describe(self) -> dict:
        """Returns what the page shows of the model."""
        input_channels, output_channels = self.translator.options.pair.channels
        labels = self.folder / model_card.LABELS_NAME
        palette = label_maps.read_palette(labels) if labels.exists() else {}
        return {
            "name": self.name,
            "version": self.version,
            "size": None if self.tiling else self.translator.size,
            "is_photograph": self.translator.options.pair.lab_colorization,
            "input_channels": input_channels,
            "output_channels": output_channels,
            "labels": [
                {"name": name, "color": "#{:02x}{:02x}{:02x}".format(*color)}
                for name, color in palette.items()
            ],
            "litert": [f"models/{self.name}/{name}" for name in self.litert_names()],
        }

    def litert_names(self) -> list[str]:
        """Returns the names of the LiteRT files, the smallest first."""
        names = reversed(exported.LITERT_NAMES.values())
        return [name for name in names if (self.folder / name).is_file()]


def open_models(paths: list[Path], tiling: Tiling | None = None) -> dict[str, Model]:
    """Loads the models of these paths, as `load` takes them; returns them by name.

    A model is named after its folder, `models/NAME` or `models/NAME/VERSION`.

    Args:
        paths: list of Path.
        tiling: Tiling, if images keep their size and large ones are done by tiles.

    Raises:
        UsageError: one cannot be loaded or used by tiles, or two have one name.
    """
    models = {}
    for path in paths:
        file = exported.find(path)
        folder = (file.parent if file else path).absolute()
        is_version = folder.name.isdecimal()
        name = (folder.parent if is_version else folder).name
        if name in models:
            raise UsageError(
                f"{printable(path)} and {printable(models[name].folder)} would both be "
                f"named {printable(name)}: rename a folder"
            )
        version = folder.name if is_version else "1"
        translator = load(path)
        if tiling is not None:
            translator.check_tiling(tiling)
        models[name] = Model(name, version, folder, translator, tiling)
    return models
