"""The command `python -m pix2pix_tf.datasets`, which prepares a data set on disk."""

import dataclasses
import logging
import re
import shlex
import sys

from pix2pix_tf.datasets import addresses
from pix2pix_tf.datasets.addresses import is_url
from pix2pix_tf.datasets.download import FILE_FORMATS, import_tfds, prepare
from pix2pix_tf.datasets.find import DATA_DIR, choose_data_dir, find_folder
from pix2pix_tf.images.operations import MAX_SIZE, OPERATIONS, count_images
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
    input_list: str | None = flag(
        None,
        "with --beam_runner: a file of paths or URLs, one example in each line (image "
        "A, a tab and image B of pairs)",
        unit="file",
        is_path=True,
    )
    name: str | None = flag(
        None, "the name of the data set made from your images", unit="name"
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
    beam_runner: str | None = flag(
        None,
        "prepare your images by this runner of Apache Beam: DirectRunner, FlinkRunner, "
        "SparkRunner, DataflowRunner (default: without Beam)",
        unit="runner",
    )
    beam_options: str | None = flag(
        None,
        "options of the runner: NAME=VALUE,NAME=VALUE (default: its own)",
        unit="options",
    )
    operations: str | None = flag(
        None,
        "with --beam_runner: what is done to the images, such as resize,edges,combine; "
        "the names are those of pix2pix-tf process (default: nothing)",
        unit="names",
    )
    size: int = flag(256, "of resize", unit="pixels", minimum=1, maximum=MAX_SIZE)
    pad: bool = flag(False, "resize: do not crop, but pad with black")

    def __post_init__(self):
        super().__post_init__()
        given = [self.input_dir, self.input_list, self.paper]
        if given.count(None) != 2:
            raise UsageError(
                "wanted either --input_dir or --input_list, for images of your own, or "
                "--paper"
            )
        if self.paper is None:
            where = "--input_list" if self.input_list else "--input_dir"
            self.refuse_changed(where, "manual_dir", "base_url")
            if self.name is None or not re.fullmatch(r"[A-Za-z][\w-]*", self.name):
                raise UsageError(
                    f"{where} needs --name, of letters, digits, _ and -, got "
                    f"{self.name}"
                )
        else:
            self.refuse_changed("--paper", "target_dir", "name", "beam_runner")
        if self.input_list is not None:
            self.refuse_changed("--input_list", "target_dir")
        if self.beam_runner is None:
            self._refuse_without_beam()
        for name in self.operation_names:
            if name not in OPERATIONS:
                raise UsageError(
                    "--operations must be some of "
                    f"{', '.join(OPERATIONS)}, with commas, got {name}"
                )
        if "resize" not in self.operation_names:
            self.refuse_changed("--operations without resize", "size", "pad")
        if self.target_dir and self.input_dir and is_url(self.input_dir):
            raise UsageError(
                "--target_dir cannot be used with a URL as --input_dir: give "
                "--input_list, a file of lines with image A, a tab and image B"
            )

    def _refuse_without_beam(self):
        """Raises UsageError if a flag needs --beam_runner, which is not given."""
        for name in ("input_list", "beam_options", "operations"):
            if getattr(self, name) is not None:
                raise UsageError(f"--{name} needs --beam_runner, such as DirectRunner")
        if self.input_dir and is_url(self.input_dir):
            raise UsageError(
                "--input_dir with a URL needs --beam_runner, such as DirectRunner"
            )

    @property
    def operation_names(self) -> tuple[str, ...]:
        """The names in --operations, in order."""
        return tuple(self.operations.split(",")) if self.operations else ()


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
    by_beam = _beam_settings(options)
    builder = _make_builder(options, what)
    how = tfds.download.DownloadConfig(
        manual_dir=options.manual_dir,
        num_shards=options.num_shards,
        try_download_gcs=False,
        **by_beam,
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
    if is_url(data_dir or ""):
        raise UsageError(
            f"--data_dir {data_dir} is a URL: wanted a folder, which all workers see"
        )
    existing = find_folder(options.name, data_dir)
    if existing is not None:
        raise UsageError(
            f"{what} exists already: give another, or remove {existing} first"
        )
    if options.name in import_tfds(what).list_builders():
        raise UsageError(f"{what} is a data set of the catalog: give another")
    listings = _list_examples(options)
    _check_num_shards(options.num_shards, listings)
    chosen = folder.FolderConfig(
        name=options.name, input_dir=options.input_dir, target_dir=options.target_dir
    )
    if options.beam_runner is not None:
        chosen.listings, chosen.series = listings, _make_series(options, listings)
    return folder.Pix2pixFolder(config=chosen, data_dir=data_dir)


def _list_examples(options):
    """Returns {split: Listing} of the flags; warns of files that are not read."""
    from pix2pix_tf.datasets import folder, listing
    from pix2pix_tf.images import codecs

    input_dir, target_dir = options.input_dir, options.target_dir
    if options.input_list is not None:
        return {"train": listing.from_file(options.input_list)}
    if is_url(input_dir):
        return listing.from_url(input_dir, folder.SPLITS)
    suffixes = codecs.SUFFIXES if options.operations else folder.SUFFIXES
    splits = folder.find_splits(input_dir, target_dir, suffixes)
    folder.print_notices(input_dir, target_dir, splits)
    return {split: listing.from_examples(found) for split, found in splits.items()}


def _check_num_shards(num_shards, listings):
    """Raises UsageError if a split has fewer examples than files."""
    split, smallest = min(listings.items(), key=lambda item: item[1].count)
    if num_shards is not None and num_shards > smallest.count:
        raise UsageError(
            f"--num_shards {num_shards} is more than the {smallest.count} "
            f"examples of {split}"
        )


def _make_series(options, listings):
    """Returns the Series of the flags, if the examples have the images for it."""
    from pix2pix_tf.datasets import pipeline

    num_files = next(iter(listings.values())).num_files
    try:
        count_images(options.operation_names, num_files)
    except ValueError as error:
        raise UsageError(f"--operations {options.operations}: {error}") from None
    return pipeline.Series(options.operation_names, options.size, options.pad)


def _beam_settings(options):
    """Returns the arguments of tfds.download.DownloadConfig for Beam."""
    if options.beam_runner is None:
        return {}
    try:
        logging.disable(logging.WARNING)  # Beam names what it was installed without
        from pix2pix_tf.datasets import pipeline
    except ImportError as error:
        raise UsageError(
            f"--beam_runner needs apache-beam ({error}): pip install '.[beam]'"
        ) from None
    pipeline.check_runner(options.beam_runner)
    return {
        "beam_runner": options.beam_runner,
        "beam_options": pipeline.make_options(options.beam_options),
    }


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
    if options.beam_runner is not None:
        _report_skipped(builder)
    name = options.name or f"pix2pix:{options.paper}"
    command = f"python -m pix2pix_tf.train --mode train --dataset {name}"
    has_one_image = options.paper is None and "image" in builder.info.features
    if has_one_image and _holds_photographs(builder):
        command += " --lab_colorization"
    if options.data_dir is not None:
        command = f"{DATA_DIR}={shlex.quote(options.data_dir)} {command}"
    print(command)


def _report_skipped(builder):
    """Prints how many examples were left out, and where they are named."""
    from pix2pix_tf.datasets import pipeline

    for split in builder.info.splits:
        report = pipeline.read_report(builder.data_dir, split)
        if skipped := report["skipped"]:
            print(
                f"{split}: skipped {len(skipped)} of {report['examples']} examples, "
                f"named in {pipeline.report_path(builder.data_dir, split)}"
            )


if __name__ == "__main__":
    sys.exit(main())
