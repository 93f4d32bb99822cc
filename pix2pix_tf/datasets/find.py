"""Finds a data set by its `--dataset` name."""

import itertools
import json
import os
import re
from pathlib import Path

from pix2pix_tf.datasets.download import FILE_FORMATS, first_line, import_tfds, prepare
from pix2pix_tf.options import DataConfig
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import is_utf8, printable

DATA_DIR = "TFDS_DATA_DIR"  # the variable that names the folder of data sets
FOLDER_BUILDER = "pix2pix_folder"
# Prefixes of TFDS names before a colon: the repositories of other projects.
COMMUNITIES = ("huggingface", "kubric", "robotics")
# The keys of features.json that name classes: TFDS imports their modules.
CLASS_KEYS = ("pythonClassName", "python_class_name", "type")
MAX_SIZED = 20  # records, which are decoded to see whether they are pairs
_VERSION = r"(?:\d+|\*)(?:\.(?:\d+|\*)){2}"


def load(name: str, data_dir: str | Path | None = None):
    """Returns the builder of a data set, which is downloaded if it is not on disk.

    Args:
        name: a name given to `python -m pix2pix_tf.datasets --name`, a data set of the
            paper (`pix2pix:facades`), of TFDS's catalog, or any data set prepared in
            `data_dir`. `:CONFIG` or `/CONFIG`, and a version `:1.2.3`, may follow.
        data_dir: folder of prepared data sets, or None for TFDS_DATA_DIR or
            ~/tensorflow_datasets.

    Returns:
        tfds.core.DatasetBuilder, prepared.

    Raises:
        UsageError: it is unknown, or cannot be downloaded or read.
    """
    what = f"--dataset {name}"
    data_dir = choose_data_dir(data_dir)
    tfds = import_tfds(what)
    from pix2pix_tf.datasets import paper

    try:
        builder = _find(tfds, name, data_dir)
    except tfds.core.DatasetNotFoundError:
        raise UsageError(
            f"{what} is not known to tensorflow_datasets: wanted a name of its "
            "catalog, such as svhn_cropped, of the paper's, such as pix2pix:facades, "
            "or one that python -m pix2pix_tf.datasets prepared"
        ) from None
    except Exception as error:  # no such config or version, a package missing
        raise UsageError(f"{what} cannot be used: {first_line(error)}") from None
    if isinstance(builder, paper.Pix2pix):
        prepare(builder, what, builder.advice, file_format=FILE_FORMATS[0])
    else:
        prepare(builder, what, "give --input_dir a folder of images")
    return builder


def open_source(
    config: DataConfig, channels: tuple[int, ...], mode: str, why_unfit=None
):
    """Returns the data.Source of a data set's examples, after a check of the first.

    Args:
        config: flags, with a data set.
        channels: those of each image of an example.
        mode: train or test: the split, if `config` names none.
        why_unfit: of data.Source.

    Raises:
        UsageError: the data set, the split or a feature is missing or unusable.
    """
    builder = load(config.dataset)
    from pix2pix_tf import data
    from pix2pix_tf.datasets.source import Records

    cache = data.Cache(config.cache) if config.cache else None
    split = config.split or _choose_split(builder, mode)
    store = Records(
        builder, split, config, len(channels), has_names=mode == "test", cache=cache
    )
    source = data.Source(store, channels, why_unfit=why_unfit)
    source.check()
    if store.num_features < len(channels):
        sizes = itertools.islice(store.sizes(), MAX_SIZED)
        data.warn_of_single_images(
            (f"record {i}", size) for i, size in enumerate(sizes)
        )
    return source


def _choose_split(builder, mode):
    """Returns the split of a mode, or of those that there are the nearest to it."""
    splits = list(builder.info.splits)
    wanted = ["test", "val", "validation"] if mode == "test" else ["train"]
    chosen = next((name for name in wanted if name in splits), None)
    if chosen is None and len(splits) == 1:
        chosen = splits[0]
    if chosen not in (None, mode):
        print(f"{builder.info.full_name} has no split {mode}: taking {chosen}")
    return chosen or mode


def choose_data_dir(data_dir: str | Path | None) -> str | Path | None:
    """Returns a folder of data sets, or that of TFDS_DATA_DIR, or None for neither.

    Raises:
        UsageError: TFDS cannot use the folder.
    """
    flag = "--data_dir" if data_dir else DATA_DIR
    data_dir = data_dir or os.environ.get(DATA_DIR)
    if data_dir and not is_utf8(data_dir):
        raise UsageError(
            f"{flag} {printable(data_dir)} is not valid UTF-8, which "
            "tensorflow_datasets needs: give another folder"
        )
    return data_dir


def to_tfds_name(name: str) -> str:
    """Converts a `--dataset` name to TFDS's form: NAME:CONFIG becomes NAME/CONFIG.

    The colon stays before a version, such as 1.2.3 or 1.*.*, and after one of
    COMMUNITIES.
    """
    first, colon, rest = name.partition(":")
    if not colon or "/" in first or first in COMMUNITIES:
        return name
    return name if re.match(rf"{_VERSION}(/|$)", rest) else f"{first}/{rest}"


def find_folder(name: str, data_dir: str | Path | None) -> Path | None:
    """Returns the folder of a data set that the user prepared, or None.

    Args:
        name: its name, without version.
        data_dir: as from `choose_data_dir`.
    """
    path = _root(data_dir) / FOLDER_BUILDER / name
    # The folders that a killed process left have other names.
    versions = path.iterdir() if path.is_dir() else []
    has_any = any(re.fullmatch(r"\d+\.\d+\.\d+", version.name) for version in versions)
    return path if has_any else None


def _root(data_dir):
    """Returns the folder of data sets; `data_dir` as from `choose_data_dir`."""
    return Path(data_dir or "~/tensorflow_datasets").expanduser()


def _refuse_code(folder):
    """Raises UsageError if TFDS would import foreign modules for a data set."""

    def keep(values):
        names.extend(values[key] for key in CLASS_KEYS if key in values)

    for path in sorted(folder.rglob("features.json")):
        names = []
        json.loads(path.read_text(encoding="utf-8"), object_hook=keep)
        foreign = [
            name for name in names if not str(name).startswith("tensorflow_datasets.")
        ]
        if foreign:
            raise UsageError(
                f"{path} names code outside tensorflow_datasets, {foreign}"
            )


def _find(tfds, name, data_dir):
    """Returns the builder of a name; the user's data sets take precedence."""
    from pix2pix_tf.datasets import paper  # noqa: F401  registers it with TFDS

    name = to_tfds_name(name)
    bare = re.sub(rf":{_VERSION}$", "", name)
    if re.fullmatch(r"[\w.-]+", bare) and find_folder(bare, data_dir) is not None:
        name = f"{FOLDER_BUILDER}/{name}"
    _refuse_code(_root(data_dir) / re.split("[/:]", name)[0])
    return tfds.builder(name, try_gcs=False, data_dir=data_dir)
