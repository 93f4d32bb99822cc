"""Finds the files of examples: in a folder, in two folders, one file, or a pattern.

Only names and paths are used; no file is opened.
"""

import contextlib
import glob
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pix2pix_tf.images.codecs import SUFFIXES, UNREAD_SUFFIXES
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable

FLAGS = ("--input_dir", "--target_dir")
MAX_NAMES = 3  # of files with the same problem, in a message
MAX_REASONS = 10  # in a message


class Example(NamedTuple):
    """The name of an example, and the files that it is read from."""

    name: str  # such as 7; with its sub-folder, if any: cats/7
    paths: tuple[Path, ...]  # one file, or the files of images A and B


class FolderExamples(Sequence):
    """The examples of one folder, each made when it is asked for.

    Only the files' names are kept: as Example and Path, a million take half a GB.
    """

    def __init__(self, folder: Path, files: list[str], names: list[str] | None):
        """Args: names: of the examples, or None for the stems of the files."""
        self._folder, self._files, self._names = folder, files, names

    def __len__(self):
        return len(self._files)

    def __getitem__(self, index):
        files = self._files[index]
        if isinstance(index, slice):
            names = self._names and self._names[index]
            return FolderExamples(self._folder, files, names)
        return Example(self.name(index), (self._folder / files,))

    def name(self, index: int) -> str:
        """Returns the name of an example."""
        return self._names[index] if self._names else _stem(self._files[index])


def find_examples(
    input_dir: str | Path,
    target_dir: str | Path | None = None,
    is_one_enough: bool = False,
    flags: tuple[str, str] = FLAGS,
) -> Sequence[Example]:
    """Returns the examples of one folder, or of two folders with images A and B.

    One folder is read without its sub-folders; examples are sorted by number if all
    file names are numbers, else by name. Two folders are read with their sub-folders;
    images are paired by their relative path without suffix.

    Args:
        input_dir: the folder; of images A, if `target_dir` is given.
        target_dir: the folder of images B.
        is_one_enough: if True, `input_dir` may also be a file or a glob pattern.
        flags: the flags that gave the folders, for errors.

    Raises:
        UsageError: a folder does not exist or has no images, or an image does not have
            exactly one partner; all such images are named.
    """
    if target_dir is not None:
        return _pair((Path(input_dir), Path(target_dir)), flags)
    if Path(input_dir).is_dir():
        return _find_in_folder(Path(input_dir), flags[0])
    if not is_one_enough:
        raise UsageError(f"{flags[0]} {printable(input_dir)} is not a folder")
    if Path(input_dir).is_file():  # whatever its suffix: it was asked for by name
        paths = [Path(input_dir)]
    else:
        found = (Path(path) for path in glob.glob(str(input_dir), recursive=True))
        paths = [path for path in found if _is_image(path)]
        if not paths:
            raise UsageError(
                f"{flags[0]} {printable(input_dir)} is not a folder or a file, and "
                "no image matches it as a pattern"
            )
    paths = sort_paths(paths)
    names = unique_names(paths)
    return [Example(name, (path,)) for name, path in zip(names, paths, strict=True)]


def _find_in_folder(folder, flag):
    """Returns the FolderExamples of a folder, sorted as `sort_paths` does."""
    with os.scandir(folder) as entries:
        files = [entry.name for entry in entries if _is_image(entry)]
    if not files:
        raise _no_images(flag, folder)
    files = _sort(files, lambda file: ("", _stem(file), file))
    if len({_stem(file).lower() for file in files}) == len(files):
        return FolderExamples(folder, files, names=None)
    return FolderExamples(folder, files, unique_names([Path(file) for file in files]))


def _stem(file):
    return os.path.splitext(file)[0]


def cut(
    examples: Sequence[Example], part: tuple[int, int], batch_size: int
) -> tuple[Sequence[Example], int]:
    """Returns the examples of one part, and the number of batches before them.

    Parts are whole batches: each batch, whose statistics and dropout mask its images
    share, is that of a run of all examples.

    Args:
        part: (which of them, from 0; how many).

    Raises:
        UsageError: there are fewer batches than parts.
    """
    number, count = part
    num_batches = -(-len(examples) // batch_size)
    if num_batches < count:
        batches = f" in batches of {batch_size}" if batch_size > 1 else ""
        raise UsageError(
            f"--shard {number}/{count} has nothing to do: {len(examples)} examples"
            f"{batches} make at most {num_batches} parts"
        )
    first, end = (num_batches * place // count for place in (number, number + 1))
    return examples[first * batch_size : end * batch_size], first


def list_images(folder: Path | str) -> list[Path]:
    """Returns the images in a folder, in any order, without those of sub-folders."""
    with os.scandir(folder) as entries:  # knows folders without asking again
        return [Path(entry.path) for entry in entries if _is_image(entry)]


def sort_paths(paths: list[Path]) -> list[Path]:
    """Returns paths sorted by number if all stems are numbers, else by name.

    Folders stay together.
    """
    # As text: Paths compare slowly, and there may be 100,000.
    return _sort(paths, lambda path: (str(path.parent), path.stem, path.name))


def _sort(files, split):
    """Sorts names or paths as `sort_paths`; `split` gives (folder, stem, name)."""

    def number(file):
        folder, stem, name = split(file)
        return folder, int(stem), name

    is_numbered = all(split(file)[1].isdecimal() for file in files)
    return sorted(files, key=number if is_numbered else os.fspath)


def unique_names(paths: list[Path]) -> list[str]:
    """Returns a unique name for each file: its stem, or its whole name if need be.

    If files in different folders have equal names, all names are numbered.
    """
    counts = Counter(path.stem.lower() for path in paths)
    names = [
        path.stem if counts[path.stem.lower()] == 1 else path.name for path in paths
    ]
    if len(set(names)) < len(names):  # a.png and a.jpg beside a.png.jpg
        names = [path.name for path in paths]
    if len(set(names)) < len(names):
        return [f"{number}-{name}" for number, name in enumerate(names, start=1)]
    return names


def _is_image(path):
    """Returns True if a Path or DirEntry may be an image; a broken link may, too.

    Reading the broken link then fails with its name.
    """
    name = path.name
    suffix = os.path.splitext(name)[1].lower()
    return suffix in SUFFIXES and not name.startswith(".") and not path.is_dir()


def list_unread(folder: Path | str, recursive: bool = False) -> list[Path]:
    """Returns the image files of a folder that are of a format that is not read."""
    pattern = "**/*" if recursive else "*"
    return sorted(
        path
        for path in Path(folder).glob(pattern)
        if path.suffix.lower() in UNREAD_SUFFIXES
        and not path.name.startswith(".")
        and not path.is_dir()
    )


def _no_images(flag, folder):
    text = f"{flag} {printable(folder)} has no images"
    if unread := [printable(path.name) for path in list_unread(folder)]:
        text += f" that are read: convert {list_names(unread)} to PNG or JPEG"
    elif likely := list_names(_folders_with_images(folder)):
        text += f" itself, but in its sub-folders: give one of these, {likely}"
    else:
        text += ": wanted files ending in " + ", ".join(SUFFIXES)
    return UsageError(text)


def _folders_with_images(folder):
    found = []
    for path in sorted(Path(folder).iterdir()):
        with contextlib.suppress(OSError):  # such as: permission denied
            if path.is_dir() and not path.name.startswith(".") and list_images(path):
                found.append(printable(path))
    return found


def _pair(folders, flags):
    """Returns the Examples of two folders."""
    sides = [_by_stem(*named) for named in zip(flags, folders, strict=True)]
    stems = sorted({*sides[0], *sides[1]})
    problems = []
    for stem in stems:
        for folder, side in zip(folders, sides, strict=True):
            paths = side.get(stem, [])
            if not paths:
                problems.append((f"{printable(folder / stem)}.*", "is missing"))
            elif len(paths) > 1:
                names = " and ".join(printable(path) for path in sorted(paths))
                problems.append((names, "are two for one"))
    if problems:
        raise UsageError(
            f"{flags[0]} and {flags[1]} do not pair: {join_problems(problems)}"
        )
    stems = [stem.as_posix() for stem in sort_paths([Path(stem) for stem in stems])]
    return [Example(stem, (sides[0][stem][0], sides[1][stem][0])) for stem in stems]


def _by_stem(flag, folder):
    """Returns {path under `folder` without suffix: [path, ...]} of its images."""
    if not folder.is_dir():
        raise UsageError(f"{flag} {printable(folder)} is not a folder")
    found = defaultdict(list)
    for path in folder.rglob("*"):
        if _is_image(path):
            stem = path.relative_to(folder).with_suffix("").as_posix()
            found[normalize(stem)].append(path)
    if not found:
        raise _no_images(flag, folder)
    return found


def normalize(name: str) -> str:
    """Returns a name in one Unicode form, as systems write a letter in several."""
    return unicodedata.normalize("NFC", name)


def list_names(names: Sequence[str], num_shown: int = MAX_NAMES) -> str:
    """Returns the first names and the number of the others, as text."""
    shown, num_more = ", ".join(names[:num_shown]), len(names) - num_shown
    return f"{shown} and {num_more} more" if num_more > 0 else shown


def join_problems(problems: Iterable[tuple[str, str]]) -> str:
    """Returns (name, reason) pairs as one line: each reason once, with its first names.

    Reasons that differ only in numbers, such as sizes, count as the same.
    """
    alike = defaultdict(list)
    for name, reason in problems:
        alike[re.sub(r"\d+", "", reason)].append((name, reason))
    reasons = []
    for (name, reason), *others in alike.values():
        if others:
            others = list_names([other for other, _ in others], MAX_NAMES - 1)
            name = f"{name} (likewise {others})"
        reasons.append(f"{name} {reason}")
    num_more = len(reasons) - MAX_REASONS
    more = f"; and {num_more} more" if num_more > 0 else ""
    return "; ".join(reasons[:MAX_REASONS]) + more
