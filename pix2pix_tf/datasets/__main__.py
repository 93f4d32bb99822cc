"""The command `python -m pix2pix_tf.datasets`, which prepares a data set on disk."""

import dataclasses
import re
import shlex
import sys

from pix2pix_tf.datasets import addresses
from pix2pix_tf.datasets.download import FILE_FORMATS, import_tfds, prepare
from pix2pix_tf.datasets.find import DATA_DIR, choose_data_dir, find_folder
from pix2pix_tf.options import Config, DataConfig, flag, flags_in, parse_flags
from pix2pix_tf.runtime import command
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.start import start_tensorflow

PROG = "pix2pix-tf datasets"


@dataclasses.dataclass(frozen=True)
class PrepareConfig(Config):
    """The data set."""

    input_dir: str | None = flag(
        None,
        "your images: files, or sub-folders train, val, test of them",
        unit="folder",
        is_path=True,
    )
    target_dir: str | None = flag(
        None,
        "the images B, if the pairs are in two folders (default: none)",
        unit="folder",
        is_path=True,
    )
    name: str | None = flag(
        None, "the name of the data set made from --input_dir", unit="name"
    )
    paper: str | None = flag(
        None, "a data set of the paper", choices=tuple(addresses.ARCHIVES)
    )
    manual_dir: str | None = flag(
        None,
        "with --paper: a folder that already has NAME.tar.gz or NAME (default: "
        "download)",
        unit="folder",
        is_path=True,
    )
    base_url: str = flag(
        addresses.BASE_URL, "with --paper: where the archives are", unit="url"
    )
    data_dir: str | None = flag(
        None,
        "where to write (default: TFDS_DATA_DIR, or ~/tensorflow_datasets)",
        unit="folder",
        is_path=True,
    )
    file_format: str = flag(
        FILE_FORMATS[0],
        "the format of the record files",
        choices=FILE_FORMATS,
    )
    num_shards: int | None = flag(
        None, "files for each split (default: by size)", unit="files", minimum=1
    )

    def __post_init__(self):
        super().__post_init__()
        if (self.input_dir is None) == (self.paper is None):
            raise UsageError(
                "wanted either --input_dir, for images of your own, or --paper"
            )
        if self.paper is None:
            self.refuse_changed("--input_dir", "manual_dir", "base_url")
            if self.name is None or not re.fullmatch(r"[A-Za-z][\w-]*", self.name):
                raise UsageError(
                    "--input_dir needs --name, of letters, digits, _ and -, got "
                    f"{self.name}"
                )
        else:
            self.refuse_changed("--paper", "target_dir", "name")


def main(argv: list[str] | None = None) -> int:
    """Runs one command line.

    Args:
        argv: the arguments, or None for those of the process.

    Returns:
        The exit status; see `runtime.command`.
    """
    return command.run(PROG, lambda: _prepare(parse(argv)))


def parse(argv: list[str] | None = None) -> PrepareConfig:
    """Returns the config of a command line; raises UsageError for a wrong one."""
    description = "writes a data set as record files, for --dataset of other commands"
    given = parse_flags(flags_in(PrepareConfig), argv, PROG, description)
    return PrepareConfig(**given)


def _prepare(options):
    """Writes the data set, and prints a summary of it."""
    what = f"--paper {options.paper}" if options.paper else f"--name {options.name}"
    start_tensorflow()
    tfds = import_tfds(what)
    builder = _make_builder(options, what)
    how = tfds.download.DownloadConfig(
        manual_dir=options.manual_dir,
        num_shards=options.num_shards,
        try_download_gcs=False,
    )
    prepare(
        builder,
        what,
        builder.advice,
        download_config=how,
        file_format=options.file_format,
    )
    _report(builder, options)


def _make_builder(options, what):
    """Returns the tfds.core.DatasetBuilder of the flags."""
    from pix2pix_tf.datasets import folder, paper

    data_dir = choose_data_dir(options.data_dir)
    if options.paper is not None:
        return paper.Pix2pix(
            config=options.paper, base_url=options.base_url, data_dir=data_dir
        )
    existing = find_folder(options.name, data_dir)
    if existing is not None:
        raise UsageError(
            f"{what} exists already: give another, or remove {existing} first"
        )
    if options.name in import_tfds(what).list_builders():
        raise UsageError(f"{what} is a data set of the catalog: give another")
    splits = folder.find_splits(options.input_dir, options.target_dir)
    folder.print_notices(options.input_dir, options.target_dir, splits)
    split, smallest = min(splits.items(), key=lambda item: len(item[1]))
    if options.num_shards is not None and options.num_shards > len(smallest):
        raise UsageError(
            f"--num_shards {options.num_shards} is more than the {len(smallest)} "
            f"examples of {split}"
        )
    chosen = folder.FolderConfig(
        name=options.name, input_dir=options.input_dir, target_dir=options.target_dir
    )
    return folder.Pix2pixFolder(config=chosen, data_dir=data_dir)


def _holds_photographs(builder):
    """Returns True if most of the first images do not look like two side by side."""
    from pix2pix_tf import data
    from pix2pix_tf.datasets.source import Records

    split = next(iter(builder.info.splits))
    sizes = list(Records(builder, split, DataConfig(), num_images=1).sizes())
    return 2 * sum(map(data.is_single, sizes)) > len(sizes)


def _report(builder, options):
    """Prints where the data set is, its splits, and the command that trains on it."""
    print(f"{builder.info.full_name} in {builder.data_dir}")
    for name, split in builder.info.splits.items():
        files = "file" if split.num_shards == 1 else "files"
        print(
            f"{name}: {split.num_examples} examples, {split.num_bytes}, "
            f"{split.num_shards} {builder.info.file_format.value} {files}"
        )
    name = options.name or f"pix2pix:{options.paper}"
    command = f"python -m pix2pix_tf.train --mode train --dataset {name}"
    has_files_alone = options.input_dir is not None and options.target_dir is None
    if has_files_alone and _holds_photographs(builder):
        command += " --lab_colorization"
    if options.data_dir is not None:
        command = f"{DATA_DIR}={shlex.quote(options.data_dir)} {command}"
    print(command)


if __name__ == "__main__":
    sys.exit(main())
