"""The report of runs: what it reads, what it draws, and the page."""

import base64
import json
import os
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf.commands.plot import __main__ as plot
from pix2pix_tf.commands.plot import curves, runs
from pix2pix_tf.inference import gallery
from pix2pix_tf.training import summaries
from tests.conftest import read_image

COLORS = {"inputs": (200, 0, 0), "outputs": (0, 200, 0), "targets": (0, 0, 200)}
IMAGE = "images/00000007-house-outputs.png"
LOSSES = {"discriminator_loss": {50: 0.4, 100: 0.6}, "validation/psnr": {100: 12.5}}


def _write_events(folder, scalars, number=1):
    """Writes one event file of {tag: {step: value}}, the `number`th of the folder."""
    writer = tf.summary.create_file_writer(str(folder), filename_suffix=".new")
    with writer.as_default():
        for tag, values in scalars.items():
            for step, value in values.items():
                tf.summary.scalar(tag, value, step)
    writer.close()
    [path] = folder.glob("*.new")
    return path.rename(folder / f"events.out.tfevents.{number}")


def _make_run(folder, scalars=None, psnr=None, **options):
    """Writes a run's folder; with `psnr`, the metrics of a test too."""
    folder.mkdir(parents=True)
    text = json.dumps({"mode": "train", "seed": 1, **options})
    (folder / "options.json").write_text(text)
    if scalars:
        _write_events(folder, scalars)
    if psnr is not None:
        found = {"mean": {"psnr": psnr, "ms_ssim": None}, "set": {"fid": 30.5}}
        (folder / "metrics.json").write_text(json.dumps(found))
    return folder


def _add_images(folder, step, name="house", **colors):
    for kind, color in (COLORS | colors).items():
        image = np.full([256, 256, 3], color, np.uint8)
        gallery.write_images(folder, gallery.Row(name, step), {kind: image})


def _add_strips(folder, names, levels):
    """Writes {step: level of the outputs} of validations as training does."""
    writer = tf.summary.create_file_writer(str(folder))
    for step, level in levels.items():
        parts = [[[COLORS["inputs"], (0, level, 0), COLORS["targets"]]]]
        strip = np.kron(np.array(parts, np.uint8), np.ones([1, 32, 32, 1], np.uint8))
        images = {f"validation/pictures/{name}": strip for name in names}
        summaries.write_values(writer, step, {"validation/l1": 0.5}, images)
    writer.close()


def _report(*folders, out):
    """Returns the text of a report's page, whose form and plots are checked."""
    argv = [*map(str, folders), "--output_dir", str(out)]
    assert plot.main(argv) == 0
    source = (out / "report.html").read_text(encoding="utf-8")
    assert source.startswith("<!DOCTYPE html>\n")
    page = ElementTree.fromstring(source.partition("\n")[2])  # every tag is closed
    shown = {}
    for figure in page.iter("figure"):
        contents = figure.find("img").get("src").removeprefix("data:image/png;base64,")
        shown[figure.find("figcaption").text] = base64.b64decode(contents)
    assert shown == {path.name: path.read_bytes() for path in out.glob("*.png")}
    text = re.sub('base64,[^"]*', "", source)  # any letters may be in images
    assert "http" not in text  # it needs nothing from elsewhere
    return " ".join(" ".join(page.itertext()).split())


def test_the_average_of_a_constant_is_that_constant_without_its_zero_start(tmp_path):
    average, logged = 0.0, {}
    for step in range(1, 301):
        average -= (1 - 0.99) * (average - 0.7)
        logged[step] = average
    _write_events(tmp_path, {"generator_loss_L1": logged})
    curve = curves.read(tmp_path)[0]["generator_loss_L1"]
    assert curve.steps.tolist() == list(logged) and curve.values[0] < 0.01
    np.testing.assert_allclose(curves.debias(curve).values, 0.7, rtol=1e-6)


def test_what_a_resume_did_again_counts_once(tmp_path):
    _write_events(tmp_path, {"lr": dict.fromkeys(range(10, 60, 10), 1.0)}, 1)
    path = _write_events(tmp_path, {"lr": {35: 2.0, 45: 2.0, 55: 2.0}}, 10)
    path.write_bytes(path.read_bytes()[:-7])  # the run still writes the last one
    assert curves.read(tmp_path)[0]["lr"].steps.tolist() == [10, 20, 30, 35, 45]
    summaries.open_writer(tmp_path, 20).close()  # of a run that goes on at step 21
    assert curves.read(tmp_path)[0]["lr"].steps.tolist() == [10, 20]


def test_validation_images_are_those_of_the_last_validation(tmp_path):
    for number, names, levels in ((1, "ab", {10: 1, 30: 1}), (2, "bc", {20: 2})):
        _add_strips(tmp_path / "new", names, levels)
        [path] = (tmp_path / "new").iterdir()
        path.rename(tmp_path / f"events.out.tfevents.{number}")
    strips = curves.read(tmp_path)[1]
    steps = {name: list(by_step) for name, by_step in strips.items()}
    assert steps == {"b": [10, 20], "c": [20]}


def test_the_report_of_a_real_run(trained_dir, tmp_path, capsys):
    text = _report(trained_dir, out=tmp_path)
    assert f"wrote {tmp_path / 'report.html'}, with " in capsys.readouterr().out
    assert "Run run" in text and "which_direction BtoA" in text
    assert "generator_loss_L1" in text and (tmp_path / "losses.png").is_file()
    # 3 columns and 2 rows, of 256 pixels each, with 60 for labels and 80 for titles.
    assert read_image(tmp_path / "pictures.png").shape[:2] == (592, 828)


def test_images_are_shown_as_large_as_they_are_in_order(tmp_path):
    run = _make_run(tmp_path / "run", LOSSES)
    _add_strips(run, ["house", "tree"], {100: 150, 200: 175})
    _add_images(run, 100)
    (run / "images" / "00000300-house-inputs.png").write_bytes(b"begun")
    _report(run, out=tmp_path / "out")
    outputs = (0, 150, 0), (0, 175, 0)
    strips = COLORS["inputs"], *outputs, COLORS["targets"]
    for name, columns in (
        ("pictures", COLORS.values()),
        ("validation_pictures", strips),
    ):
        grid = read_image(tmp_path / "out" / f"{name}.png")[:, :, :3]
        is_shown = [(grid == color).all(axis=2) for color in columns]
        assert all(places.sum() > 245**2 for places in is_shown)
        lefts = [places.any(axis=0).argmax() for places in is_shown]
        assert lefts == sorted(lefts)


def test_runs_are_compared_by_the_options_in_which_they_differ(tmp_path):
    own = {"a": {"lr": 0.0002, "summary_freq": 1}, "b": {"lr": 0.001, "ngf": 32}}
    folders = []
    for name, psnr in (("a", 12.25), ("b", 13.75)):
        train = _make_run(tmp_path / name / "train", LOSSES, **own[name])
        test = tmp_path / name / "test"
        folders += [
            train,
            _make_run(test, None, psnr, mode="test", checkpoint=str(train)),
        ]
        _add_images(train, 100, outputs=(len(folders),) * 3)
        _add_images(train, 200, inputs=(len(folders),) * 3)  # another crop
    text = _report(*folders, out=tmp_path / "out")
    expected = ["2 runs compared", "option a/train b/train lr 0.0002 0.001 ngf 64 32"]
    # 0.6 / (1 - 0.99**100)
    expected += ["test: psnr 12.25 13.75", "discriminator_loss 0.94642 0.94642"]
    assert all(part in text for part in expected)
    assert "summary_freq" not in text and "ms_ssim" not in text
    names = "last_figures losses pictures_1 pictures_2 side_by_side validation"
    assert (
        sorted(path.stem for path in (tmp_path / "out").glob("*.png")) == names.split()
    )
    chosen, rows = runs.common_images(runs.read_runs(folders))
    assert len(chosen) == 2 and rows == [("house", 100)]


def test_a_test_is_shown_with_the_run_whose_checkpoint_it_used(tmp_path, capsys):
    run = _make_run(tmp_path / "run", LOSSES)
    tests = []
    for part, psnr in ((".", 12.25), ("model-best", 13.75), ("model-best", 14.0)):
        options = {"mode": "test", "checkpoint": str(run / part)}
        tests.append(_make_run(tmp_path / str(psnr), None, psnr, **options))
    last = runs.last_metrics(runs.read_runs([*tests[:2], run]))
    assert last["test: psnr"] == [12.25]
    assert last["test of model-best: psnr"] == [13.75]
    assert runs.last_metrics(runs.read_runs(tests[1:]))["test: psnr"] == [13.75, 14]
    assert plot.main([str(run), *map(str, tests)]) == 2
    assert "14.0 is a second test of model-best of run" in capsys.readouterr().err


def test_a_test_of_one_checkpoint_and_a_folder_that_is_not_utf8(tmp_path, capsys):
    run = _make_run(tmp_path / "run", LOSSES)
    options = {"mode": "test", "checkpoint": str(run / "model-7")}
    test = _make_run(tmp_path / "test", None, 12.25, **options)
    [found] = runs.read_runs([run, test])
    assert list(found.tests) == ["test of model-7"]
    odd = run.rename(Path(os.fsdecode(bytes(tmp_path) + b"/\xff")))
    assert plot.main([str(odd)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "is not valid UTF-8" in line


def test_any_name_and_value_gives_a_whole_page(tmp_path):
    name = "_<b>&\"'$x$ \u6f22"
    scalars = {
        f"validation/{name}": {1: np.nan, 2: 1.0},
        "generator_loss_L1": {0: 0.0, 1: np.inf, 2: np.nan},
        "images_per_second": dict.fromkeys(range(201), 1.0),
    }
    folders = [_make_run(tmp_path / f"{name}{n}", scalars, seed=n) for n in range(11)]
    _add_images(folders[0], 1, name)
    text = _report(*folders, out=tmp_path / "out")
    assert f"{name}10" in text and "nan" in text


def _damage_strip(folder):
    writer = tf.summary.create_file_writer(str(_make_run(folder, LOSSES)))
    with writer.as_default(7):
        tf.summary.write("validation/pictures/house", ["96", "32", "no image"])
    writer.close()


def _damage(name, contents):
    def make(folder):
        _add_images(_make_run(folder, psnr=1), 7)
        (folder / name).write_bytes(contents)

    return make


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda folder: None, "run is not the folder of a run, with its options.json"),
        (_make_run, "run has neither scalars in event files, which training writes"),
        (_damage("metrics.json", b"[1]"), "metrics.json is damaged: wanted JSON with"),
        (_damage("x.tfevents.1", b"x" * 99), "x.tfevents.1 is damaged: remove it"),
        (_damage_strip, "run: validation/pictures/house of step 7 in its event files"),
        (_damage(IMAGE, b"\x89PNG"), f"{IMAGE} "),
    ],
)
def test_what_cannot_be_shown_is_named_in_one_line(tmp_path, capsys, make, message):
    make(tmp_path / "run")
    assert plot.main([str(tmp_path / "run")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("pix2pix-tf plot: error: ") and message in line
    assert not (tmp_path / "run" / "report").exists()
