"""The files of checkpoints, in TensorFlow 1's format: finds, reads and writes them."""

import atexit
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

import numpy as np
import tensorflow as tf

from pix2pix_tf.options import CHECKPOINT_PREFIX as PREFIX
from pix2pix_tf.options import CHECKPOINTS_NAME as STATE_NAME
from pix2pix_tf.options import split_checkpoint
from pix2pix_tf.runtime import files, messages
from pix2pix_tf.runtime.errors import UsageError

SUFFIXES = (".data-00000-of-00001", ".index")
PATTERN_CHARACTERS = frozenset("*?[\\")  # that TensorFlow reads in a path
# Errors that TensorFlow raises for files that are truncated or overwritten.
_READ_ERRORS = (tf.errors.OpError, ValueError, RuntimeError, IndexError)


def find(checkpoint: Path | str) -> str:
    """Returns the path prefix of the checkpoint that --checkpoint means.

    Args:
        checkpoint: a folder, for its newest checkpoint, or in it `model-STEP`, or one
            of the files of that name.

    Raises:
        UsageError: the checkpoint does not exist, or the folder has no checkpoint that
            can be read.
    """
    folder, name = split_checkpoint(checkpoint)
    if name is None:
        return find_latest(folder)
    if not (folder / f"{name}.index").is_file():
        steps = _steps(folder)
        found = ", ".join(f"{PREFIX}{step}" for step in steps) or "no checkpoint"
        raise UsageError(f"{checkpoint} does not exist: {folder} has {found}")
    return str(folder / name)


def _steps(folder):
    """Returns the steps of the checkpoints in a folder, sorted."""
    return sorted(
        int(path.stem.removeprefix(PREFIX))
        for path in folder.glob(f"{PREFIX}*")
        if re.fullmatch(rf"{PREFIX}\d+\.index", path.name)
    )


def find_latest(checkpoint_dir: Path | str) -> str:
    """Returns the path prefix of a folder's newest checkpoint that can be read.

    The newest is the last one that the folder's `checkpoint` file names. Checkpoints
    that the file does not name (it may be lost) count as older, ordered by step. A
    warning is printed for each newer one that cannot be read. A single checkpoint is
    not read here, because `restore` reads it.

    Raises:
        UsageError: the folder has no checkpoint, or none that can be read.
    """
    checkpoint_dir = Path(checkpoint_dir)
    names = [
        *(f"{PREFIX}{step}" for step in _steps(checkpoint_dir)),
        *_named_checkpoints(checkpoint_dir),
    ]
    names = list(dict.fromkeys(reversed(names)))  # each once, the newest first
    found = [name for name in names if (checkpoint_dir / f"{name}.index").is_file()]
    if not found:
        raise UsageError(
            f"--checkpoint {checkpoint_dir} has no checkpoint: wanted the files "
            f"`checkpoint` and {PREFIX}<step>.index that training writes"
        )
    problems = [f"{name}.index is missing" for name in names[: names.index(found[0])]]
    for name in found:
        prefix = str(checkpoint_dir / name)
        try:
            if len(found) > 1:
                verify(prefix)
        except UsageError as error:
            problems.append(str(error))
            continue
        for problem in problems:
            messages.warn(f"{problem}: taking {name}")
        return prefix
    raise UsageError("; ".join(problems))


def verify(prefix: Path | str, wanted: dict[str, list[int]] | None = None) -> None:
    """Reads a whole checkpoint, which compares its checksums.

    Args:
        prefix: path prefix.
        wanted: {name: shape} that the checkpoint must hold, or None.

    Raises:
        UsageError: the checkpoint is damaged.
    """
    reader, shapes = open_reader(prefix)
    if wanted is not None and shapes != wanted:
        raise UsageError(f"{prefix} is damaged: not all that was written is in it")
    for name in shapes:
        read(reader, [name], prefix)


def open_reader(prefix: Path | str):
    """Returns (tf.train.CheckpointReader, {name: shape as a list}) of a checkpoint.

    Raises:
        UsageError: the files are missing or damaged.
    """
    for path in (Path(f"{prefix}{suffix}") for suffix in SUFFIXES):
        if path.exists() and not path.is_file():  # reading a pipe never ends
            raise UsageError(f"{prefix} is damaged: {path} is not a file")
    try:
        reader = tf.train.load_checkpoint(_without_pattern(prefix))
        return reader, reader.get_variable_to_shape_map()
    except _READ_ERRORS as error:
        raise UsageError(f"{prefix} is damaged: {_first_line(error)}") from None


def _without_pattern(prefix):
    """Returns a path of the same files that TensorFlow does not take for a pattern.

    It reads `[`, `*`, `?` and a backslash in a checkpoint's path as a pattern of names,
    and takes valid UTF-8 only. Any other checkpoint is read through links in a
    temporary folder, which is removed when the process ends, because TensorFlow opens
    the files only when they are needed.
    """
    if files.is_utf8(prefix) and not PATTERN_CHARACTERS & set(str(prefix)):
        return str(prefix)
    folder = Path(tempfile.mkdtemp(prefix="pix2pix_tf-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for suffix in SUFFIXES:
        Path(f"{folder}/model{suffix}").symlink_to(os.path.abspath(f"{prefix}{suffix}"))
    return f"{folder}/model"


def read(reader, names, prefix: Path | str) -> dict[str, np.ndarray]:
    """Reads the entries `names` of a checkpoint.

    Raises:
        UsageError: the files are damaged.
    """
    try:
        return {name: reader.get_tensor(name) for name in names}
    except _READ_ERRORS as error:
        raise UsageError(f"{prefix} is damaged: {_first_line(error)}") from None


def read_each(
    prefix: Path | str, wanted: Iterable[tuple[str, str]]
) -> Iterator[tf.Tensor]:
    """Yields the values of entries, one after another: only one is in memory.

    Args:
        prefix: path prefix.
        wanted: (name, dtype) of each entry.

    Raises:
        UsageError: the files are damaged.
    """
    place = _without_pattern(prefix)
    for name, dtype in wanted:
        try:
            [value] = tf.raw_ops.RestoreV2(
                prefix=place,
                tensor_names=[name],
                shape_and_slices=[""],
                dtypes=[dtype],
            )
        except _READ_ERRORS as error:
            raise UsageError(f"{prefix} is damaged: {_first_line(error)}") from None
        yield value


def write(tensors: dict, output_dir: Path | str, step: int, keep: int = 1) -> None:
    """Writes tensors as a folder's newest checkpoint, and deletes the oldest ones.

    A failure leaves no damaged checkpoint: the files are written under another name,
    read back and renamed; then the `checkpoint` file is replaced; older checkpoints are
    deleted last.

    Args:
        tensors: {name: tensor or array}.
        output_dir: folder path.
        step: the number in the checkpoint's name.
        keep: number of newest checkpoints that are kept, at least 1.

    Raises:
        OSError: it cannot be written. The older checkpoints are unchanged then.
    """
    output_dir = Path(output_dir)
    new = output_dir / f"{PREFIX}{step}"
    _write_files(tensors, new)
    old = [name for name in _named_checkpoints(output_dir) if name != new.name]
    kept = [*old, new.name][-keep:]
    _write_state(output_dir / STATE_NAME, kept)
    for name in set(old) - set(kept):
        for suffix in SUFFIXES:
            (output_dir / f"{name}{suffix}").unlink(missing_ok=True)


def _write_files(tensors, path):
    """Writes the files of one checkpoint, and renames them after a check."""
    shapes = {name: list(tensor.shape) for name, tensor in tensors.items()}
    try:
        with files.writing(path, SUFFIXES) as partial:
            tf.raw_ops.SaveV2(
                prefix=str(partial),
                tensor_names=list(tensors),
                shape_and_slices=[""] * len(tensors),
                tensors=list(tensors.values()),
            )
            verify(partial, shapes)
    except (tf.errors.OpError, UsageError, OSError) as error:
        reason = getattr(error, "strerror", None) or _first_line(error)
        raise OSError(f"{path} cannot be written: {reason}") from None


def _named_checkpoints(folder):
    """Returns the names in a folder's `checkpoint` file, oldest first; [] without one.

    The original writes absolute paths, which may be of another machine.
    """
    path = folder / STATE_NAME
    text = path.read_text(errors="replace") if path.is_file() else ""
    paths = re.findall(r'^all_model_checkpoint_paths: "(.*)"', text, re.MULTILINE)
    newest = re.findall(r'^model_checkpoint_path: "(.*)"', text, re.MULTILINE)
    names = [PurePath(path).name for path in [*paths, *newest]]
    return list(dict.fromkeys(reversed(names)))[::-1]  # each once, the newest last


def _write_state(path, names):
    """Writes TensorFlow 1's text proto CheckpointState; `names` are oldest first."""
    lines = [f'model_checkpoint_path: "{names[-1]}"']
    lines += [f'all_model_checkpoint_paths: "{name}"' for name in names]
    files.write_whole(path, "\n".join(lines) + "\n")


def _first_line(error):
    """Returns the error's first line without the name of TensorFlow's operation."""
    text = getattr(error, "message", None) or str(error)
    return re.sub(r"^{{.*?}} ", "", text.splitlines()[0])
