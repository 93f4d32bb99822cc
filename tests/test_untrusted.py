"""Files from strangers: nothing in them runs, and what they claim is not believed."""

import io
import json
import pickle
import sys
import zipfile
import zlib
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from PIL import Image

from parity import recording
from pix2pix_tf import checkpoints, datasets
from pix2pix_tf.commands import edges
from pix2pix_tf.images import codecs
from pix2pix_tf.interop import convert
from pix2pix_tf.metrics import features
from pix2pix_tf.options import read_options
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.training import losses


class _Evil:
    """Touches a file when it is unpickled."""

    def __init__(self, trace):
        self._trace = trace

    def __reduce__(self):
        return Path.touch, (self._trace,)


@pytest.fixture
def trace(tmp_path):
    """The path of a file that there is only if code ran."""
    path = tmp_path / "trace"
    pickle.loads(pickle.dumps(_Evil(path)))
    assert path.exists()  # the files below would leave it
    path.unlink()
    yield path
    assert not path.exists()


def _write_npz(path, trace):
    np.savez(path, meta=np.array([_Evil(trace)], object))


def _write_npy(path, trace):
    np.save(path, np.array([_Evil(trace)], object), allow_pickle=True)


def _write_pickle(path, trace):
    path.write_bytes(pickle.dumps(_Evil(trace)))


def _write_torch(path, trace):
    """As torch.save does: a zip with a pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(_Evil(trace)))
        archive.writestr("archive/version", "3\n")


@pytest.mark.parametrize(
    "name, write, read",
    [
        ("a.npy", _write_npy, codecs.read),
        ("a.npy", _write_npy, codecs.probe),
        ("a.npy", _write_pickle, codecs.read),
        ("a.npz", _write_npz, recording.read_recording),
        ("a.npz", _write_pickle, recording.read_recording),
        ("a.npz", _write_npz, edges.load_hed),
        ("a.h5", _write_pickle, edges.load_hed),
        ("a.pth", _write_torch, convert.read),
        ("a.pth", _write_pickle, convert.read),
        ("a.pict", _write_pickle, convert.read),
        ("options.json", _write_pickle, read_options),
        (
            "model-1.index",
            _write_pickle,
            lambda p: checkpoints.open_reader(p.parent / p.stem),
        ),
    ],
)
def test_no_loader_runs_code(name, write, read, tmp_path, trace):
    write(tmp_path / name, trace)
    with pytest.raises(ValueError):  # UsageError and ImageError are
        read(tmp_path / name)


@pytest.mark.parametrize("name", ["a.h5", "a.weights.h5", "a.keras", "a.pkl"])
def test_vgg_weights_are_read_as_arrays_or_not_at_all(name, tmp_path, trace):
    path = tmp_path / name
    if path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["top"] = np.void(pickle.dumps(_Evil(trace)))
    else:
        _write_torch(path, trace)
    with pytest.raises(UsageError, match=f"--vgg_weights .*{name} cannot be used"):
        losses.make_perceptual_loss(str(path))


def test_a_networks_python_is_refused(tmp_path, trace):
    def touch(x):
        Path(trace).touch()  # a global name of another process would not be found
        return x

    path = tmp_path / "a.keras"
    layers = [keras.Input([299, 299, 3]), keras.layers.Lambda(touch)]
    keras.Sequential(layers).save(path)
    trace.unlink()  # it ran, as it was built
    with pytest.raises(UsageError, match="--fid_weights .*a.keras cannot be used") as e:
        features.open_extractor(str(path))
    assert "\n" not in str(e.value)


def test_a_data_set_cannot_name_code_to_import(tmp_path, trace, monkeypatch):
    (tmp_path / "stranger.py").write_text(f"open({str(trace)!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "mine" / "1.0.0"
    folder.mkdir(parents=True)
    features = {"pythonClassName": "stranger.Feature", "jsonFeature": {"json": "{}"}}
    (folder / "features.json").write_text(json.dumps(features))
    (folder / "dataset_info.json").write_text('{"name": "mine", "version": "1.0.0"}')
    with pytest.raises(
        UsageError, match="--dataset mine .*outside tensorflow_datasets"
    ):
        datasets.load("mine", tmp_path)
    assert "stranger" not in sys.modules


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_a_bomb_is_refused_before_it_is_decoded(side, tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, "PNG")
    bomb = bytearray(buffer.getvalue())
    bomb[16:24] = side.to_bytes(4) * 2  # width and height
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4)
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb)
    for function in (codecs.read, codecs.probe):
        with pytest.raises(
            codecs.ImageError, match="exceeds limit.*: cut it, or convert it to a tiled"
        ):
            function(path)


def test_an_array_that_claims_more_than_it_holds_is_refused(tmp_path):
    path = tmp_path / "a.npy"
    header = {"descr": "|u1", "fortran_order": False, "shape": (10**9, 10**9, 3)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(codecs.ImageError, match="has 0 bytes of numbers, wanted 3000"):
        codecs.read(path)


def test_names_are_shown_without_what_terminals_obey():
    strange = "\ufffd"
    assert printable("a\nb\x1b[2Jc\x9b") == f"a{strange}b{strange}[2Jc{strange}"
    assert printable("\u202egnp.exe\u2028") == f"{strange}gnp.exe{strange}"
    assert printable("caf\udce9 \u00e9\u4e2d\u202f\U0001f600") == (
        f"caf{strange} \u00e9\u4e2d\u202f\U0001f600"
    )
    assert printable(Path("a") / "b") == "a/b"
