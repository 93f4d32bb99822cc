"""The TFDS builder `pix2pix`: the six data sets of Isola et al. 2017.

The JPEG files of the archive, two images side by side, are stored unchanged: to split
them they would have to be encoded again, with a loss or in several times the size.
"""

import re
import tarfile
import zlib

import tensorflow_datasets as tfds
from etils import epath

from pix2pix_tf.datasets import addresses
from pix2pix_tf.datasets.download import first_line
from pix2pix_tf.runtime.errors import UsageError


class Pix2pix(tfds.core.GeneratorBasedBuilder):
    """Pairs of images, side by side: the data sets of the pix2pix paper."""

    name = "pix2pix"
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The archives as they are."}
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name=name, description=f"{archive.file} of the paper")
        for name, archive in addresses.ARCHIVES.items()
    ]
    # It is optional.
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Without a network: put NAME.tar.gz, or the folder that it unpacks to, here."
    )

    def __init__(self, *, base_url=addresses.BASE_URL, **kwargs):
        """Args: base_url: str, the folder of the archives; others as TFDS's."""
        super().__init__(**kwargs)
        self._base_url = base_url
        self._original_state["base_url"] = base_url  # for pickling

    @property
    def advice(self) -> str:
        """What the user can do if the archive cannot be downloaded."""
        name = self.builder_config.name
        return (
            f"python -m pix2pix_tf.datasets --paper {name} --manual_dir DIR reads "
            f"{addresses.ARCHIVES[name].file} in a folder DIR"
        )

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(None, None, 3), encoding_format="jpeg"
                    ),
                    "name": tfds.features.Text(),
                }
            ),
            homepage="https://phillipi.github.io/pix2pix/",
            citation=(
                "Isola, Zhu, Zhou, Efros: Image-to-Image Translation with Conditional "
                "Adversarial Networks. CVPR 2017, arXiv:1611.07004."
            ),
        )

    def _split_generators(self, dl_manager):
        name = self.builder_config.name
        archive = addresses.ARCHIVES[name]
        folder, path = _find_by_hand(dl_manager, name, archive)
        if folder is not None:
            return {split: _folder_images(folder / split) for split in archive.splits}
        by_hand = path is not None
        if not by_hand:
            url = addresses.make_url(archive.file, self._base_url)
            path = dl_manager.download(url)
        try:
            addresses.check(path, archive)
        except UsageError as error:
            if not by_hand:
                path.unlink()  # or TFDS would use it again next time
            raise UsageError(f"{error}: download it again") from None
        return {
            split: _archive_images(dl_manager, path, name, split)
            for split in archive.splits
        }

    def _generate_examples(self):
        """TFDS requires it; `_split_generators` returns generators of its own."""


def _find_by_hand(dl_manager, name, archive):
    """Returns the unpacked folder and the archive in the manual folder, or None."""
    try:
        manual_dir = epath.Path(dl_manager.manual_dir)
    except AssertionError:  # the folder is missing or empty
        return None, None
    folder, path = manual_dir / name, manual_dir / archive.file
    if folder.exists():
        return folder, None
    return None, path if path.exists() else None


def _folder_images(folder):
    """Yields (key, example) of the JPEGs of one folder."""
    paths = sorted(folder.glob("*.jpg")) if folder.exists() else []
    if not paths:
        raise UsageError(f"{folder} has no .jpg files: unpack the whole archive")
    for path in paths:
        if not path.name.startswith("."):
            yield path.name, {"image": path, "name": path.name}


def _archive_images(dl_manager, path, name, split):
    """Yields (key, example) of one split, reading the archive from front to back.

    Reading it once for each split is faster than unpacking it to the disk.
    """
    # Not TAR_GZ_STREAM: it reads a truncated file without an error.
    method = tfds.download.ExtractMethod.TAR_GZ
    resource = tfds.download.Resource(path=path, extract_method=method)
    pattern = re.compile(rf"(?:\./)?{name}/{split}/([^./][^/]*\.jpg)")
    is_empty = True
    try:
        for member, file in dl_manager.iter_archive(resource):
            match = pattern.fullmatch(str(member))
            if match:
                is_empty = False
                yield match[1], {"image": file.read(), "name": match[1]}
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise UsageError(
            f"{path} is damaged ({first_line(error)}): remove it and download it again"
        ) from None
    if is_empty:
        raise UsageError(
            f"{path} has no {name}/{split}/*.jpg: remove it and download it again"
        )
