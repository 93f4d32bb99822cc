"""The report of runs: what it reads, what it draws, and the page."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import plot_run
import pytest
import tensorflow as tf
from matplotlib.figure import Figure
from run_report import curves, figures, records, strips

from pix2pix_tf.inference import gallery
from pix2pix_tf.training import summaries
from tests.conftest import read_image

COLORS = {"inputs": (200, 0, 0), "outputs": (0, 200, 0), "targets": (0, 0, 200)}


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


def _write_strips(folder, names, levels):
    """Writes {step: level of the outputs} of validations as training does."""
    writer = tf.summary.create_file_writer(str(folder))
    for step, level in levels.items():
        parts = [COLORS["inputs"], (0, level, 0), COLORS["targets"]]
        strip = np.repeat(np.array([[parts]], np.uint8), 32, axis=2)
        strip = np.repeat(strip, 32, axis=1)  # [1, 32, 96, 3]
        pictures = {f"validation/pictures/{name}": strip for name in names}
        summaries.write_values(writer, step, {"validation/l1": 0.5}, pictures)
    writer.close()


def _make_run(folder, scalars=None, **options):
    folder.mkdir(parents=True)
    text = json.dumps({"mode": "train", "seed": 1, **options})
    (folder / "options.json").write_text(text)
    if scalars:
        _write_events(folder, scalars)
    return folder


def _add_metrics(folder, fid=30.5, **mean):
    found = {"mean": mean, "set": {"fid": fid}, "images": [{"name": "1", **mean}]}
    text = json.dumps(found)
    (folder / "metrics.json").write_text(text)


def _add_pictures(folder, step, name="house", colors=COLORS):
    for kind, color in colors.items():
        picture = np.full([256, 256, 3], color, np.uint8)
        gallery.write_pictures(folder, gallery.Row(name, step), {kind: picture})


def _run(*arguments):
    return plot_run.main([str(argument) for argument in arguments])


def _check_page(output_dir):
    """Returns the text of a page, of which it checks the form and the figures."""
    source = (output_dir / "report.html").read_text(encoding="utf-8")
    assert source.startswith("<!DOCTYPE html>\n")
    page = ElementTree.fromstring(source.partition("\n")[2])  # every tag is closed
    shown = {}
    for figure in page.iter("figure"):
        contents = figure.find("img").get("src").removeprefix("data:image/png;base64,")
        shown[figure.find("figcaption").text] = base64.b64decode(contents)
    files = {path.name: path.read_bytes() for path in output_dir.glob("*.png")}
    assert shown == files and files
    text = re.sub('base64,[^"]*', "", source)  # any letters may be in pictures
    assert "http" not in text  # it needs nothing from elsewhere
    return " ".join(page.itertext())


LOSSES = {"discriminator_loss": {50: 0.4, 100: 0.6}, "validation/psnr": {100: 12.5}}


def test_the_average_of_a_constant_is_that_constant_without_its_zero_start(tmp_path):
    average, logged = 0.0, {}
    for step in range(1, 1001):
        average -= (1 - 0.99) * (average - 0.7)
        logged[step] = average
    logged = {step: logged[step] for step in (1, 2, 10, 50, 100, 300, 1000)}
    _write_events(tmp_path, {"generator_loss_L1": logged})
    curve = curves.read(tmp_path)["generator_loss_L1"]
    assert curve.steps.tolist() == list(logged)
    np.testing.assert_allclose(curve.values, list(logged.values()), rtol=1e-6)
    assert curve.values[0] < 0.01
    np.testing.assert_allclose(curves.debias(curve).values, 0.7, rtol=1e-6)


def test_what_a_resume_did_again_counts_once(tmp_path):
    first = dict.fromkeys(range(10, 60, 10), 1.0)
    _write_events(tmp_path, {"validation/l1": first}, 1)
    _write_events(tmp_path, {"validation/l1": {35: 2.0, 45: 2.0}}, 2)
    curve = curves.read(tmp_path)["validation/l1"]
    assert curve.steps.tolist() == [10, 20, 30, 35, 45]
    assert curve.values.tolist() == [1, 1, 1, 2, 2]


def test_half_a_record_at_the_end_is_a_run_in_progress(tmp_path):
    path = _write_events(tmp_path, {"loss": {1: 1.0, 2: 2.0}})
    path.write_bytes(path.read_bytes()[:-7])
    assert curves.read(tmp_path)["loss"].steps.tolist() == [1]


def test_many_values_are_drawn_as_means_of_neighbours():
    curve = curves.Curve(np.arange(1000), np.tile([1.0, 3.0], 500))
    means = curves.average_neighbours(curve, 100)
    assert means.steps.tolist() == [4.5 + 10 * number for number in range(100)]
    assert means.values.tolist() == [2] * 100


@pytest.mark.parametrize(
    "values, scale, is_from_zero",
    [
        ([0.1, 100], "log", False),
        ([1, 5], "linear", True),
        ([4, 5], "linear", False),
        ([4, 4], "linear", True),
        ([0, 1e6], "linear", True),
        ([-1, 100], "linear", False),
        ([np.nan, np.inf], "linear", False),
    ],
)
def test_an_axis_is_logarithmic_where_that_helps(values, scale, is_from_zero):
    axis = Figure().subplots()
    axis.plot([1, 2], values)
    figures._finish_panel(axis, "validation/psnr")
    assert axis.get_yscale() == scale and axis.get_ylabel() == "PSNR, dB"
    assert (axis.get_ylim()[0] == 0) == is_from_zero


@pytest.mark.parametrize(
    "tag, unit",
    [
        ("memory/process_gb", "GB"),
        ("validation/histogram_l", "share"),
        ("speed/input_wait_share", "share"),
    ],
)
def test_an_axis_names_the_unit(tag, unit):
    axis = Figure().subplots()
    axis.plot([1, 2], [0.5, 1])
    figures._finish_panel(axis, tag)
    assert axis.get_ylabel() == unit


def test_tags_are_grouped_and_none_is_left_out():
    tags = ["generator_loss_GAN", "validation/ssim", "validation/accuracy"]
    tags += ["learning_rate/generator", "gradient_norm/generator"]
    tags += ["discriminator_accuracy/real", "images_per_second"]
    run = records.Run("a", Path("a"), {}, dict.fromkeys(tags), {}, [], (), {})
    assert figures.group_tags([run]) == {
        "Losses": tags[:1],
        "Validation": ["validation/accuracy", "validation/ssim"],
        "Learning rates": [tags[3]],
        "Gradient norms": [tags[4]],
        "Discriminator accuracy": [tags[5]],
        "Others": [tags[6]],
    }


def test_the_report_of_a_real_run(trained_dir, tmp_path, capsys):
    out = tmp_path / "out"
    before = sorted(trained_dir.rglob("*"))
    assert _run(trained_dir, "--output_dir", out) == 0
    assert sorted(trained_dir.rglob("*")) == before
    assert f"wrote {out / 'report.html'}, with " in capsys.readouterr().out
    text = _check_page(out)
    assert "Run run" in text and "which_direction BtoA" in text
    assert "generator_loss_L1" in text
    assert {"losses.png", "pictures.png"} <= {path.name for path in out.iterdir()}
    # 3 columns and 2 rows, of 256 pixels each, with 60 for labels and 80 for titles.
    assert read_image(out / "pictures.png").shape[:2] == (592, 828)


def test_the_grid_shows_each_kind_at_each_step_as_large_as_it_is(tmp_path):
    run = _make_run(tmp_path / "run", LOSSES)
    for step in (100, 200):
        colors = {kind: np.array(color) - step // 10 for kind, color in COLORS.items()}
        colors = {kind: color.clip(0) for kind, color in colors.items()}
        _add_pictures(run, step, colors=colors)
    (run / "images" / "00000300-house-inputs.png").write_bytes(b"begun")
    assert _run(run) == 0  # to RUN/report
    grid = read_image(run / "report" / "pictures.png")[:, :, :3]
    for channel in range(3):
        for level in (190, 180):
            color = np.eye(3)[channel] * level
            assert (grid == color).all(axis=2).sum() > 245**2


def test_at_most_eight_steps_are_shown_the_first_and_the_last_too(
    tmp_path, monkeypatch
):
    rows = [gallery.Row("a", 10 * number) for number in range(1, 101)]
    run = records.Run("a", tmp_path, {}, {}, {}, rows, ("samples",), {})
    read = []

    def read_picture(folder, row, kind):
        read.append((row.step, kind))
        return np.zeros([8, 8, 3])

    monkeypatch.setattr(records, "read_picture", read_picture)
    figures.draw_pictures(run, 8)
    steps, kinds = zip(*read, strict=True)
    assert len(steps) == 8 and steps[0] == 10 and steps[-1] == 1000
    assert set(kinds) == {"samples"}


def test_validation_pictures_are_shown_at_each_step_beside_input_and_target(tmp_path):
    run = _make_run(tmp_path / "run")
    _write_strips(run, ["house", "tree"], {100: 150, 200: 175})
    _add_pictures(run, 100)
    assert _run(run, "--output_dir", tmp_path / "out") == 0
    assert "Validation pictures of run" in _check_page(tmp_path / "out")
    assert (tmp_path / "out" / "pictures.png").exists()
    grid = read_image(tmp_path / "out" / "validation_pictures.png")[:, :, :3]
    columns = [COLORS["inputs"], (0, 150, 0), (0, 175, 0), COLORS["targets"]]
    lefts = []
    for color in columns:
        is_shown = (grid == color).all(axis=2)
        assert is_shown.sum() > 2 * 245**2  # in both rows
        lefts.append(is_shown.any(axis=0).argmax())
    assert lefts == sorted(lefts)


def test_six_steps_of_validation_are_shown_the_first_and_the_last_too(tmp_path):
    _write_strips(tmp_path, ["house"], dict.fromkeys(range(10, 1010, 10), 1))
    [by_step] = strips.read(tmp_path).values()
    assert list(by_step) == [10, 210, 410, 600, 800, 1000]


def test_validation_pictures_are_the_last_ones_of_a_resumed_run(tmp_path):
    for number, (names, levels) in enumerate(
        [("ab", {10: 1, 20: 1, 30: 1}), ("bc", {20: 2, 25: 2})]
    ):
        _write_strips(tmp_path / str(number), names, levels)
        [path] = (tmp_path / str(number)).iterdir()
        path.rename(tmp_path / f"events.out.tfevents.{number}")
    run = records.Run("a", tmp_path, {}, {}, {}, [], (), strips.read(tmp_path))
    assert {name: list(found) for name, found in run.strips.items()} == {
        "b": [20, 25],
        "c": [20, 25],
    }
    for name, step in [("b", 20), ("c", 25)]:
        inputs, output, targets = strips.split(run, name, step)
        assert inputs.shape == output.shape == targets.shape == (32, 32, 3)
        np.testing.assert_allclose(output[0, 0], [0, 2 / 255, 0])


def test_runs_are_compared_by_the_options_in_which_they_differ(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _make_run(tmp_path / "a" / "train", LOSSES, lr=0.0002, summary_freq=1)
    _make_run(tmp_path / "b" / "train", LOSSES, lr=0.001, ngf=32, summary_freq=2)
    for folder, psnr in (("a", 12.25), ("b", 13.75)):
        train = tmp_path / folder / "train"
        test = tmp_path / folder / "test"
        _make_run(test, mode="test", checkpoint=str(train))
        _add_metrics(test, l1=0.3, psnr=psnr)
        _add_pictures(train, 100)
    assert _run("a/train", "a/test", "b/train", "b/test") == 0
    text = _check_page(tmp_path / "report")
    assert "2 runs compared" in text
    tested = ("test: psnr 12.25 13.75", "test: fid 30.5 30.5")
    for row in ("lr 0.0002 0.001", "ngf 64 32", *tested):
        assert row in " ".join(text.split())
    # 0.6 / (1 - 0.99**100)
    assert "discriminator_loss 0.94642 0.94642" in " ".join(text.split())
    assert "summary_freq" not in text and "output_dir" not in text
    assert {path.name for path in (tmp_path / "report").glob("*.png")} == {
        "last_figures.png",
        "losses.png",
        "pictures_1.png",
        "pictures_2.png",
        "side_by_side.png",
        "validation.png",
    }


def test_what_most_runs_have_in_common_does_not_set_them_apart(tmp_path):
    options = [{}, {}, {"ngf": 8}, {"ngf": 8}, {"crop_size": [64, 128]}]
    folders = [
        _make_run(tmp_path / str(number), LOSSES, **own)
        for number, own in enumerate(options)
    ]
    runs = records.read_runs(folders)
    assert records.describe_runs(runs) == [
        "0",
        "1",
        "2: ngf=8",
        "3: ngf=8",
        "4: crop_size=64 128",
    ]


def test_names_are_the_shortest_ends_of_paths_that_differ():
    places = [Path("/x/a/train"), Path("/x/b/train")]
    assert records.unique_names(places) == ["a/train", "b/train"]
    assert records.unique_names(places[:1]) == ["train"]


def test_only_equal_inputs_and_targets_are_side_by_side(tmp_path):
    folders = [_make_run(tmp_path / name, LOSSES) for name in "ab"]
    for folder, level in zip(folders, (10, 20), strict=True):
        _add_pictures(folder, 1, colors=COLORS | {"outputs": (level,) * 3})
        _add_pictures(folder, 2, colors=COLORS | {"inputs": (level,) * 3})
    runs, rows = records.common_pictures(records.read_runs(folders))
    assert [run.name for run in runs] == ["a", "b"] and rows == [("house", 1)]
    assert records.common_pictures(runs[:1]) == ([], [])


def test_a_test_run_alone_has_its_figures(tmp_path):
    for name, psnr in (("a", 12.5), ("b", None)):
        folder = _make_run(tmp_path / name, mode="test", checkpoint="gone")
        _add_metrics(folder, l1=0.25, psnr=psnr)
    assert _run(tmp_path / "a", tmp_path / "b", "--output_dir", tmp_path / "out") == 0
    text = " ".join(_check_page(tmp_path / "out").split())
    assert "test: l1 0.25 0.25" in text and "test: psnr 12.5 -" in text


def test_a_test_of_the_best_model_is_told_from_one_of_the_last(tmp_path):
    run = _make_run(tmp_path / "run", LOSSES)
    tests = []
    for part, psnr in ((".", 12.25), ("model-best", 13.75)):
        tested = str(run / part)
        tests.append(_make_run(tmp_path / f"of {part}", mode="test", checkpoint=tested))
        _add_metrics(tests[-1], psnr=psnr)
    expected = {"test: psnr": [12.25], "test of model-best: psnr": [13.75]}
    for folders in ([run, *tests], [*tests[::-1], run]):
        finals = records.final_figures(records.read_runs(folders))
        assert {label: finals[label] for label in expected} == expected
        assert list(finals)[:4] == [
            "test: fid",
            "test: psnr",
            "test of model-best: fid",
            "test of model-best: psnr",
        ]
    [alone] = records.read_runs(tests[1:])
    assert records.final_figures([alone])["test: psnr"] == [13.75]


def test_two_tests_of_one_checkpoint_are_not_mixed(tmp_path, capsys):
    run = _make_run(tmp_path / "run", LOSSES)
    tests = []
    for name in ("a", "b"):
        best = str(run / "model-best")
        tests.append(_make_run(tmp_path / name, mode="test", checkpoint=best))
        _add_metrics(tests[-1], psnr=1)
    assert _run(tests[0], run, tests[1], "--output_dir", tmp_path / "out") == 2
    assert capsys.readouterr().err == (
        f"plot_run: error: {tests[0]} and {tests[1]} both test {best}: give one of "
        f"them, or both without {run}\n"
    )
    assert len(records.read_runs(tests)) == 2


def test_a_best_model_is_no_test_of_what_its_run_began_from(tmp_path):
    first = _make_run(tmp_path / "first", LOSSES)
    second = _make_run(tmp_path / "second", LOSSES, checkpoint=str(first))
    best = _make_run(second / "model-best", checkpoint=str(first))
    _add_metrics(best, psnr=13.75)
    runs = records.read_runs([first, second, best])
    assert records.final_figures(runs)["test: psnr"] == [None, None, 13.75]


def test_any_name_and_value_gives_a_whole_page(tmp_path):
    name = "_<b>&\"'$x$ \u6f22"
    scalars = {
        f"validation/{name}": {1: np.nan, 2: 1.0},
        "generator_loss_L1": {0: 0.0, 1: np.inf, 2: np.nan},
    }
    folders = [_make_run(tmp_path / f"{name}{n}", scalars, seed=n) for n in range(11)]
    _write_events(folders[0], {"images_per_second": dict.fromkeys(range(201), 1.0)}, 2)
    _add_pictures(folders[0], 1, name)
    assert _run(*folders, "--output_dir", tmp_path / "out") == 0
    text = _check_page(tmp_path / "out")
    assert f"{name}10" in text and "nan" in text


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda folder: None, "run is not a folder"),
        (lambda folder: folder.mkdir(), "run is no run: it has no options.json"),
        (_make_run, "run has neither scalars in event files, which training writes"),
        (
            lambda folder: (_make_run(folder) / "options.json").write_text("{"),
            "options.json is damaged",
        ),
        (
            lambda folder: (_make_run(folder) / "metrics.json").write_text("[1]"),
            "metrics.json is damaged: wanted JSON with",
        ),
        (
            lambda folder: (_make_run(folder) / "x.tfevents.1").write_bytes(b"x" * 99),
            "x.tfevents.1 is damaged: remove it",
        ),
    ],
)
def test_what_is_no_run_is_refused_in_one_line(tmp_path, capsys, make, message):
    make(tmp_path / "run")
    if (tmp_path / "run" / "options.json").exists() and "options" in message:
        _add_metrics(tmp_path / "run", l1=1)
    assert _run(tmp_path / "run", "--output_dir", tmp_path / "out") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("plot_run: error: ") and message in line
    assert not (tmp_path / "out").exists()


def _write_broken_strip(folder):
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default(7):
        tf.summary.write("validation/pictures/house", ["96", "32", "no picture"])
    writer.close()


def test_a_damaged_event_or_picture_is_named(tmp_path, capsys):
    run = _make_run(tmp_path / "run", LOSSES)
    _add_pictures(run, 7)
    picture = run / "images" / "00000007-house-outputs.png"
    picture.write_bytes(picture.read_bytes()[:50])
    assert _run(run) == 2
    assert f"{picture} " in capsys.readouterr().err
    picture.unlink()
    _write_broken_strip(run)
    assert _run(run) == 2
    message = "run: validation/pictures/house of step 7 in its event files "
    assert message in capsys.readouterr().err
    events = run / "events.out.tfevents.1"
    contents = bytearray(events.read_bytes())
    contents[len(contents) // 2] ^= 255
    events.write_bytes(contents)
    assert _run(run) == 2
    assert f"{events} is damaged" in capsys.readouterr().err
    assert not (run / "report").exists()


def test_a_run_given_twice_is_refused(tmp_path, capsys):
    run = _make_run(tmp_path / "run", LOSSES)
    assert _run(run, tmp_path / "." / "run" / ".") == 2
    assert "run is given twice" in capsys.readouterr().err


def test_wrong_usage_answers_without_tensorflow(tmp_path):
    code = (
        "import sys; from tools import plot_run\n"
        "assert plot_run.main([]) == 2\n"
        "assert 'tensorflow' not in sys.modules"
    )
    root = Path(plot_run.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "the following arguments are required: RUN" in done.stderr
