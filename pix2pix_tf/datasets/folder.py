"""The TFDS builder `pix2pix_folder`: a person's own pictures, or pairs of them.

Files are stored as they are and in the order in which training reads a folder, so that
both ways give the same examples under the same numbers.
"""

import concurrent.futures
import dataclasses
import os
from pathlib import Path

import tensorflow as tf
import tensorflow_datasets as tfds

from pix2pix_tf import images
from pix2pix_tf.config import UsageError
from pix2pix_tf.datasets import FOLDER_BUILDER
from pix2pix_tf.files import printable

SUFFIXES = (".jpg", ".jpeg", ".png")
OTHER_SUFFIXES = (".bmp", ".gif", ".tif", ".tiff", ".webp")  # TFDS stores none of them
SPLITS = ("train", "val", "test")


@dataclasses.dataclass(eq=False)
class FolderConfig(tfds.core.BuilderConfig):
    """One data set: its name and the folders that it is made from."""

    input_dir: str | None = None
    target_dir: str | None = None


class Pix2pixFolder(tfds.core.GeneratorBasedBuilder):
    """Pictures, or pairs of them, from one's own folders."""

    name = FOLDER_BUILDER
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The files as they are."}

    @property
    def advice(self):
        """What to do where it cannot be written."""
        return "nothing is left of it; put that right and run the command again"

    def _info(self):
        names = ["image"]
        if self.builder_config is not None and self.builder_config.target_dir:
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
        splits = find_splits(config.input_dir, config.target_dir)
        check_images(_paths(splits))
        return {
            split: self._generate_examples(examples)
            for split, examples in splits.items()
        }

    def _generate_examples(self, examples):
        # TFDS sorts by these keys in 1000 buckets of 0 to 2 ** 128: keys that are far
        # apart fill all of them, where 0, 1, 2, ... would fill one, held in memory.
        step = 2**128 // len(examples)
        for index, example in enumerate(examples):
            yield index * step, example


def find_splits(input_dir, target_dir=None):
    """Returns the examples of one folder, or of two that go together.

    Args:
        input_dir: folder of images; or one with sub-folders train, val or test of them.
        target_dir: None, or a folder with one image for each of `input_dir`'s, of the
            same path but for the suffix.

    Returns:
        {split: [{"image": path, "name": str}]}, or with "input" and "target" for
        "image"; sorted, by number where all names are numbers.

    Raises:
        UsageError: there are no images, or they do not go together.
    """
    if target_dir is not None:
        return _split_pairs(pair_files(input_dir, target_dir))
    folder = _check_dir("--input_dir", input_dir)
    folders = {split: folder / split for split in SPLITS}
    folders = {split: path for split, path in folders.items() if path.is_dir()}
    splits = {}
    for split, split_dir in (folders or {"train": folder}).items():
        paths = _find_files("--input_dir", split_dir, split_dir.iterdir())
        splits[split] = [
            {"image": str(path), "name": printable(path.name)} for path in paths
        ]
    return splits


def pair_files(input_dir, target_dir):
    """Returns the pairs of two folders, sub-folders and all.

    Args:
        input_dir, target_dir: folders; A/x/1.jpg goes with B/x/1.png.

    Returns:
        list of (relative path without suffix, input path, target path), sorted.

    Raises:
        UsageError: it names every file without a partner, or with more than one.
    """
    folders = {"--input_dir": input_dir, "--target_dir": target_dir}
    found = {}
    problems = []
    for flag, folder in folders.items():
        folder = _check_dir(flag, folder)
        by_stem = {}
        for path in _find_files(flag, folder, folder.rglob("*")):
            stem = path.relative_to(folder).with_suffix("")
            by_stem.setdefault(stem, []).append(path)
        found[flag] = by_stem
        for paths in by_stem.values():
            if len(paths) > 1:
                names = " and ".join(printable(path) for path in paths)
                problems.append(f"{names} have the same name")
    inputs, targets = found.values()
    for flag, mine, others in (
        ("--target_dir", inputs, targets),
        ("--input_dir", targets, inputs),
    ):
        for stem, paths in mine.items():
            if stem not in others:
                problems.append(f"{printable(paths[0])} has no partner in {flag}")
    _raise_problems("the folders do not go together", problems)
    return [(stem, inputs[stem][0], targets[stem][0]) for stem in inputs]


def check_images(paths):
    """Decodes all files before any of them is written.

    Raises:
        UsageError: it names those that cannot be decoded.
    """

    def find_problem(path):
        try:
            images.decode(tf.io.read_file(os.fsencode(path)))
        except tf.errors.OpError:
            return f"{printable(path)} cannot be decoded"
        return None

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = [problem for problem in pool.map(find_problem, paths) if problem]
    _raise_problems(f"{len(problems)} of {len(paths)} images cannot be used", problems)


def _split_pairs(pairs):
    """Returns the examples of pairs, by their sub-folder where that names a split."""
    splits = {}
    beside = []
    for stem, input_path, target_path in pairs:
        split = stem.parts[0] if len(stem.parts) > 1 else None
        if split in SPLITS:
            stem = stem.relative_to(split)
        else:
            split = None
            beside.append(printable(input_path))
        name = stem.with_name(stem.name + input_path.suffix)
        splits.setdefault(split, {})[name] = {
            "input": str(input_path),
            "target": str(target_path),
            "name": printable(name),
        }
    if set(splits) == {None}:
        splits = {"train": splits[None]}
        beside = []
    _raise_problems(
        f"some files are in {', '.join(SPLITS)} and others beside them", beside
    )
    return {
        split: [named[name] for name in sorted(named, key=_order(named))]
        for split in SPLITS
        if (named := splits.get(split))
    }


def _find_files(flag, folder, paths):
    """Returns the images among paths below a folder, sorted as training does."""
    found, refused = [], []
    for path in paths:
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if hidden or path.is_dir():
            continue
        if path.suffix.lower() in SUFFIXES:
            found.append(path)
        elif path.suffix.lower() in OTHER_SUFFIXES:
            refused.append(printable(path))
    _raise_problems(
        f"only {', '.join(SUFFIXES)} files can be stored, convert these by "
        "tools/process.py",
        sorted(refused),
    )
    if not found:
        raise UsageError(
            f"{flag} {folder} has no images: wanted files ending in "
            + ", ".join(SUFFIXES)
        )
    return sorted(found, key=_order(found))


def _order(paths):
    """Returns the key that sorts paths as training does: by number if all have one."""
    if all(path.stem.isdecimal() for path in paths):
        return lambda path: (path.parent, int(path.stem), path.name)
    return lambda path: path


def _check_dir(flag, folder):
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"{flag} {folder} is not a folder")
    return folder


def _paths(splits):
    """Returns the paths of all images."""
    return [
        path
        for examples in splits.values()
        for example in examples
        for key, path in example.items()
        if key != "name"
    ]


def _raise_problems(what, problems):
    if problems:
        raise UsageError(f"{what}: {'; '.join(problems)}")
