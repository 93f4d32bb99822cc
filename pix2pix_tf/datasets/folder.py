"""The TFDS builder `pix2pix_folder`: images, or pairs of them, of the user.

Files are stored unchanged and in the order in which training reads a folder, so the
examples and their numbers are the same in both cases. With Apache Beam, operations may
change them before, and they may be anywhere (`pipeline`).
"""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

import tensorflow_datasets as tfds

from pix2pix_tf import data
from pix2pix_tf.datasets import listing
from pix2pix_tf.datasets.find import FOLDER_BUILDER
from pix2pix_tf.images import operations
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable

SUFFIXES = (".jpg", ".jpeg", ".png")  # TFDS stores no others
SPLITS = ("train", "val", "test")


@dataclasses.dataclass(eq=False)
class FolderConfig(tfds.core.BuilderConfig):
    """One data set: its name and what it is made from.

    Attributes:
        input_dir, target_dir: folders, without Beam.
        listings: {split: Listing}, with Beam.
        series: Series, what Beam's workers do to the images.
    """

    input_dir: str | None = None
    target_dir: str | None = None
    listings: dict[str, listing.Listing] | None = None
    series: tuple = ()

    @property
    def num_images(self) -> int:
        """The images of a record: one, or input and target."""
        if self.listings is None:
            return 2 if self.target_dir else 1
        num_files = next(iter(self.listings.values())).num_files
        return operations.count_images(self.series.operations, num_files)


class Pix2pixFolder(tfds.core.GeneratorBasedBuilder):
    """Images, or pairs of them, from one's own folders."""

    name = FOLDER_BUILDER
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The files as they are."}

    @property
    def advice(self) -> str:
        """What the user can do if it cannot be written."""
        return "nothing was kept; correct the cause and run the command again"

    def _info(self):
        names = ["image"]
        if self.builder_config is not None and self.builder_config.num_images == 2:
            names = ["input", "target"]
        features = {
            name: tfds.features.Image(shape=(None, None, 3)) for name in names
        } | {"name": tfds.features.Text()}
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=tfds.features.FeaturesDict(features),
            disable_shuffling=True,  # the order of the files; training shuffles
        )

    def _split_generators(self, dl_manager):
        config = self.builder_config
        if config.listings is not None:
            return self._prepare_by_beam(config)
        splits = find_splits(config.input_dir, config.target_dir)
        for examples in splits.values():
            check_examples(examples)
        return {
            split: self._generate_examples(examples)
            for split, examples in splits.items()
        }

    def _prepare_by_beam(self, config):
        from pix2pix_tf.datasets import pipeline

        return {
            split: pipeline.Prepare(split, found, config.series, self.data_path)
            for split, found in config.listings.items()
        }

    def _process_pipeline_result(self, pipeline_result):
        from pix2pix_tf.datasets import pipeline

        (self.data_path / pipeline.LIST_NAME).rmtree()

    def _generate_examples(self, examples):
        # TFDS sorts by these keys in 1000 buckets of 0 to 2 ** 128: keys that are far
        # apart fill all of them, where 0, 1, 2, ... would fill one, held in memory.
        step = 2**128 // len(examples)
        for index, example in enumerate(examples):
            yield index * step, to_record(example)


def find_splits(
    input_dir: str | Path,
    target_dir: str | Path | None = None,
    suffixes: tuple[str, ...] = SUFFIXES,
) -> dict[str, Sequence[data.Example]]:
    """Returns the examples of one folder, or of two folders of pairs.

    Args:
        input_dir: folder of images; or one with sub-folders train, val or test of them.
        target_dir: None, or a folder with one image for each of `input_dir`'s, as
            `data.find_examples` pairs them; with the same sub-folders.
        suffixes: of the files that can be stored.

    Returns:
        {split: examples}, in the order in which training reads a folder.

    Raises:
        UsageError: there are no images, or they cannot be paired or stored.
    """
    splits = {}
    for split, name in _split_folders(input_dir).items():
        targets = None if target_dir is None else Path(target_dir, name)
        splits[split] = data.find_examples(Path(input_dir, name), targets)
    refused = [
        printable(path)
        for examples in splits.values()
        for example in examples
        for path in example.paths
        if path.suffix.lower() not in suffixes
    ]
    if refused:
        raise UsageError(
            f"only {', '.join(suffixes)} files can be stored, convert these by "
            "pix2pix-tf process: " + data.list_names(refused)
        )
    return splits


def print_notices(
    input_dir: str, target_dir: str | None, splits: dict[str, Sequence[data.Example]]
):
    """Warns of files that are not read, or not whole; see `data.print_notices`."""
    roots = [root for root in (input_dir, target_dir) if root is not None]
    names = _split_folders(input_dir).values()
    folders = [Path(root, name) for root in roots for name in names]
    data.print_notices(itertools.chain.from_iterable(splits.values()), folders)


def _split_folders(input_dir):
    """Returns {split: its sub-folder}; a folder without sub-folders is all train."""
    names = [name for name in SPLITS if Path(input_dir, name).is_dir()]
    return {name: name for name in names} or {"train": "."}


def to_record(example: data.Example) -> dict[str, str]:
    """Returns the TFDS record of a data.Example: its file paths and its name."""
    keys = ("image",) if len(example.paths) == 1 else ("input", "target")
    record = dict(zip(keys, map(str, example.paths), strict=True))
    return record | {"name": printable(example.name)}


def check_examples(examples: Sequence[data.Example]):
    """Decodes all files before any of them is written.

    Raises:
        UsageError: files cannot be decoded, or those of a pair differ in size.
    """
    channels = (3,) * len(examples[0].paths)  # a file is stored as it is, not split
    data.Source(data.Files(examples), channels).check()
