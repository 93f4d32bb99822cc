"""`python -m pix2pix_tf.datasets`: prepares a data set for training, on disk."""

import contextlib
import dataclasses
import os
import re
import shlex
import signal
import sys

from pix2pix_tf import datasets
from pix2pix_tf.datasets import addresses
from pix2pix_tf.options import Checked, make_flag, parse_flags
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable

PROG = "python -m pix2pix_tf.datasets"


@dataclasses.dataclass(frozen=True)
class PrepareConfig(Checked):
    """What to prepare, from where, and how."""

    input_dir: str | None = make_flag(
        str,
        None,
        "your pictures: files, or sub-folders train, val, test of them",
    )
    target_dir: str | None = make_flag(
        str, None, "for pairs in two folders: what --input_dir's are to become"
    )
    name: str | None = make_flag(str, None, "what to call the data set of --input_dir")
    paper: str | None = make_flag(
        str, None, "one of the paper's", choices=tuple(addresses.ARCHIVES)
    )
    manual_dir: str | None = make_flag(
        str, None, "of --paper: folder with NAME.tar.gz or NAME, for no download"
    )
    base_url: str = make_flag(
        str, addresses.BASE_URL, "of --paper: where the archives are"
    )
    data_dir: str | None = make_flag(
        str,
        None,
        "where to write (default: TFDS_DATA_DIR, or ~/tensorflow_datasets)",
    )
    file_format: str = make_flag(
        str,
        datasets.FILE_FORMATS[0],
        "of the record files",
        choices=datasets.FILE_FORMATS,
    )
    num_shards: int | None = make_flag(
        int, None, "files a split (default: by size)", minimum=1
    )

    def __post_init__(self):
        super().__post_init__()
        if (self.input_dir is None) == (self.paper is None):
            raise UsageError(
                "wanted either --input_dir, for pictures of your own, or --paper"
            )
        if self.paper is None:
            self._refuse("--input_dir", "manual_dir", "base_url")
            if self.name is None or not re.fullmatch(r"[A-Za-z][\w-]*", self.name):
                raise UsageError(
                    "--input_dir needs --name, of letters, digits, _ and -, got "
                    f"{self.name}"
                )
        else:
            self._refuse("--paper", "target_dir", "name")

    def _refuse(self, flag, *names):
        for name in names:
            if getattr(self, name) != PrepareConfig.__dataclass_fields__[name].default:
                raise UsageError(f"--{name} does not go with {flag}: leave it out")


def main(argv=None):
    """Runs one command line.

    Args:
        argv: list of str, or None for the process's own.

    Returns:
        int, the exit status, as of `pix2pix_tf.train.main`.
    """
    flags = {field.name: field for field in dataclasses.fields(PrepareConfig)}
    description = "write a data set as record files, for --dataset of other commands"
    try:
        given = parse_flags(flags, argv, PROG, description)
        _prepare(PrepareConfig(**given))
    except (UsageError, OSError) as error:
        print(printable(f"{PROG}: error: {error}"), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


@contextlib.contextmanager
def _ending_on_sigterm():
    """Makes SIGTERM an exception, as Ctrl-C is, so that half a data set is removed."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _prepare(options):
    """Writes the data set, and says what is in it."""
    from pix2pix_tf.runtime.start import quiet_stderr

    what = f"--paper {options.paper}" if options.paper else f"--name {options.name}"
    with quiet_stderr():
        tfds = datasets.import_tfds(what)
    builder = _make_builder(options, what)
    how = tfds.download.DownloadConfig(
        manual_dir=options.manual_dir,
        num_shards=options.num_shards,
        try_download_gcs=False,
    )
    with _ending_on_sigterm():
        datasets.prepare(
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

    data_dir = options.data_dir or os.environ.get("TFDS_DATA_DIR")
    if options.paper is not None:
        return paper.Pix2pix(
            config=options.paper, base_url=options.base_url, data_dir=data_dir
        )
    there = datasets.find_folder(options.name, data_dir)
    if there is not None:
        raise UsageError(f"{what} is there: give another, or remove {there} first")
    if options.name in datasets.import_tfds(what).list_builders():
        raise UsageError(f"{what} is a data set of the catalog: give another")
    splits = folder.find_splits(options.input_dir, options.target_dir)
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


def _report(builder, options):
    """Prints where the data set is, its splits, and the command that trains on it."""
    print(f"{builder.info.full_name} in {builder.data_dir}")
    for name, split in builder.info.splits.items():
        print(
            f"{name}: {split.num_examples} examples, {split.num_bytes}, "
            f"{split.num_shards} {builder.info.file_format.value} files"
        )
    name = options.name or f"pix2pix:{options.paper}"
    command = f"python -m pix2pix_tf.train --mode train --dataset {name}"
    if options.data_dir is not None:
        command = f"TFDS_DATA_DIR={shlex.quote(options.data_dir)} {command}"
    print(command)


if __name__ == "__main__":
    sys.exit(main())
