"""The files of a checkpoint: find the latest, read it, and write it whole.

They are in TensorFlow 1's format. What they hold is not decided here.
"""

import re
from pathlib import Path, PurePath

import tensorflow as tf

from pix2pix_tf.options import CHECKPOINT_PREFIX as PREFIX
from pix2pix_tf.options import CHECKPOINTS_NAME as STATE_NAME
from pix2pix_tf.runtime import files
from pix2pix_tf.runtime.errors import UsageError

SUFFIXES = (".data-00000-of-00001", ".index")
# What TensorFlow raises for files that are cut or overwritten.
_READ_ERRORS = (tf.errors.OpError, ValueError, RuntimeError, IndexError)


def find_latest(checkpoint_dir):
    """Returns the path prefix of a folder's newest checkpoint that can be read.

    The newest is the one that its `checkpoint` file names last. If that file is lost or
    names another folder (the original writes absolute paths, and folders are moved), it
    is the `model-<step>` of the highest step. Those that are passed over are printed. A
    folder's only checkpoint is not read here, as `restore` will read it.

    Args:
        checkpoint_dir: folder path.

    Raises:
        UsageError: the folder has none, or none that can be read.
    """
    checkpoint_dir = Path(checkpoint_dir)
    steps = sorted(
        int(path.stem.removeprefix(PREFIX))
        for path in checkpoint_dir.glob(f"{PREFIX}*")
        if re.fullmatch(rf"{PREFIX}\d+\.index", path.name)
    )
    names = [
        *(f"{PREFIX}{step}" for step in steps),
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
            print(f"warning: {problem}: taking {name}", flush=True)
        return prefix
    raise UsageError("; ".join(problems))


def verify(prefix, wanted=None):
    """Reads a whole checkpoint, which compares its checksums.

    Args:
        prefix: path prefix.
        wanted: {name: shape as a list} that it must have, or None.

    Raises:
        UsageError: it is damaged.
    """
    reader, shapes = open_reader(prefix)
    if wanted is not None and shapes != wanted:
        raise UsageError(f"{prefix} is damaged: it lacks what was written")
    for name in shapes:
        read(reader, [name], prefix)


def open_reader(prefix):
    """Returns (tf.train.CheckpointReader, {name: shape as a list}) of a checkpoint.

    Raises:
        UsageError: the files are missing or damaged.
    """
    for path in (Path(f"{prefix}{suffix}") for suffix in SUFFIXES):
        if path.exists() and not path.is_file():  # a pipe would be read for ever
            raise UsageError(f"{prefix} is damaged: {path} is not a file")
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        return reader, reader.get_variable_to_shape_map()
    except _READ_ERRORS as error:
        raise UsageError(f"{prefix} is damaged: {_first_line(error)}") from None


def read(reader, names, prefix):
    """Returns {name: array} of these names.

    Raises:
        UsageError: the files are damaged.
    """
    try:
        return {name: reader.get_tensor(name) for name in names}
    except _READ_ERRORS as error:
        raise UsageError(f"{prefix} is damaged: {_first_line(error)}") from None


def write(tensors, output_dir, step, keep=1):
    """Writes tensors as a folder's newest checkpoint, and deletes the oldest ones.

    The files get their names only when they are on the disk and were read back, the
    `checkpoint` file names them only then, and older ones go last.

    Args:
        tensors: {name: tensor or array}.
        output_dir: folder path.
        step: int, which names the checkpoint.
        keep: int, at least 1: how many of the newest checkpoints stay.

    Raises:
        OSError: it cannot be written. The older checkpoints are as they were.
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
    """Writes `path`.index and .data: under another name, read back, then renamed."""
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

    Names only: the original may have written the path of another machine.
    """
    path = folder / STATE_NAME
    text = path.read_text(errors="replace") if path.is_file() else ""
    paths = re.findall(r'^all_model_checkpoint_paths: "(.*)"', text, re.MULTILINE)
    newest = re.findall(r'^model_checkpoint_path: "(.*)"', text, re.MULTILINE)
    names = [PurePath(path).name for path in [*paths, *newest]]
    return list(dict.fromkeys(reversed(names)))[::-1]  # each once, the newest last


def _write_state(path, names):
    """Writes the text proto CheckpointState as TensorFlow 1 does, oldest first."""
    lines = [f'model_checkpoint_path: "{names[-1]}"']
    lines += [f'all_model_checkpoint_paths: "{name}"' for name in names]
    files.write_whole(path, "\n".join(lines) + "\n")


def _first_line(error):
    """Returns what happened, without the name of TensorFlow's operation."""
    text = getattr(error, "message", None) or str(error)
    return re.sub(r"^{{.*?}} ", "", text.splitlines()[0])
