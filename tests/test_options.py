import json
import os

import pytest

from pix2pix_tf.options import (
    FLAGS,
    MAX_OPTIONS_BYTES,
    PairConfig,
    RunConfig,
    check_output_dir,
    command,
    parse,
    read_options,
    to_dict,
    write_options,
)
from pix2pix_tf.options.flag import MODES
from pix2pix_tf.runtime.errors import UsageError

ORIGINAL_DEFAULTS = {
    "input_dir": None,
    "checkpoint": None,
    "max_steps": None,
    "max_epochs": None,
    "summary_freq": 100,
    "progress_freq": 50,
    "trace_freq": 0,
    "display_freq": 0,
    "save_freq": 5000,
    "separable_conv": False,
    "aspect_ratio": 1.0,
    "lab_colorization": False,
    "batch_size": 1,
    "which_direction": "AtoB",
    "ngf": 64,
    "ndf": 64,
    "scale_size": 286,
    "flip": True,
    "lr": 0.0002,
    "beta1": 0.5,
    "l1_weight": 100.0,
    "gan_weight": 1.0,
    "output_filetype": "png",
}


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path_factory, monkeypatch):
    """Without --output_dir, a folder is created in the current one."""
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))


@pytest.fixture
def checkpoint_dir(tmp_path):
    stored = {"ngf": 8, "which_direction": "BtoA", "lab_colorization": False, "lr": 0.1}
    stored |= {"ndf": 64, "separable_conv": False}
    (tmp_path / "options.json").write_text(json.dumps(stored))
    return tmp_path


def test_defaults_are_the_originals():
    options = to_dict(parse(["--mode", "train"]))
    assert {name: options[name] for name in ORIGINAL_DEFAULTS} == ORIGINAL_DEFAULTS


def test_a_seed_is_drawn_where_none_is_given():
    seeds = {parse(["--mode", "train"]).run.seed for _ in range(3)}
    assert len(seeds) == 3 and all(isinstance(seed, int) for seed in seeds)


def test_commands_started_in_one_second_get_folders_of_their_own(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command.time, "strftime", lambda _: "20260102-030405")
    folders = [parse(["--mode", "train"]).run.output_dir for _ in range(3)]
    assert folders[0] == "runs/train-20260102-030405"
    assert len(set(folders)) == 3 and all(map(os.path.isdir, folders))
    with pytest.raises(UsageError):
        parse(["--mode", "train", "--scale_size", "20"])
    assert len(os.listdir("runs")) == 3


@pytest.mark.parametrize(
    "flags, is_constant",
    [
        ("", False),
        ("--norm instance", True),
        ("--norm instance --innermost_norm none", False),
        ("--norm instance --crop_size 256 512", False),
        ("--norm instance --generator resnet", False),
    ],
)
def test_instance_norm_of_one_pixel_is_known_to_be_constant(
    flags, is_constant, tmp_path
):
    argv = ["--mode", "train", "--output_dir", str(tmp_path), *flags.split()]
    assert parse(argv).model.is_bottleneck_constant == is_constant


def test_a_home_folder_is_found_in_every_path(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    options = parse(["--mode", "train", "--output_dir=~/x", "--input_dir=~"])
    assert options.run.output_dir == str(tmp_path / "x")
    assert options.data.input_dir == str(tmp_path)


def test_no_flip_turns_flip_off():
    assert not parse(["--mode", "train", "--no_flip"]).data.flip


@pytest.mark.parametrize(
    "lab, direction, channels",
    [
        (False, "AtoB", (3, 3)),
        (False, "BtoA", (3, 3)),
        (True, "AtoB", (1, 2)),
        (True, "BtoA", (2, 1)),
    ],
)
def test_channels_follow_colour_and_direction(lab, direction, channels):
    assert PairConfig(lab, direction).channels == channels


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--scale_size", "200"], ["--scale_size", "256", "200"]),
        (["--batch_size", "0"], ["--batch_size", "at least 1", "0"]),
        (["--batch_size", "9999"], ["--batch_size", "at most 4096", "9999"]),
        (["--ngf", "9999"], ["--ngf", "at most 1024", "9999"]),
        (["--ndf", "9999"], ["--ndf", "at most 1024", "9999"]),
        (["--crop_size", "99999"], ["--crop_size", "at most 16384", "99999"]),
        (["--scale_size", "99999"], ["--scale_size", "at most 32768", "99999"]),
        (["--input_channels", "9999"], ["--input_channels", "at most 4096", "9999"]),
        (["--lr", "nan"], ["--lr", "finite"]),
        (["--lr", "0"], ["--lr", "above 0"]),
        (["--beta1", "1"], ["--beta1", "below 1"]),
        (["--max_steps", "-1"], ["--max_steps", "at least 0"]),
        (
            ["--aspect_ratio", "0.001"],
            ["--aspect_ratio 0.001", "256"],
        ),
        (["--checkpoint", "/nowhere/at/all"], ["--checkpoint", "/nowhere/at/all"]),
    ],
)
def test_a_bad_value_is_refused_with_flag_bound_and_value(arguments, words):
    with pytest.raises(UsageError) as error:
        parse(["--mode", "train", *arguments])
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize(
    "arguments", [[], ["--mode", "drive"], ["--mode", "train", "--ngf", "x"]]
)
def test_a_wrong_command_line_is_a_usage_error_of_one_line(arguments):
    with pytest.raises(UsageError, match=r"\(--help lists the flags\)") as error:
        parse(arguments)
    assert "\n" not in str(error.value)


def test_every_flag_that_has_no_meaning_in_the_mode_is_refused_by_name(checkpoint_dir):
    start = ["--checkpoint", str(checkpoint_dir), "--mode"]
    for name, one in FLAGS.items():
        value = [] if one.type is bool else [str(one.choices[0] if one.choices else 1)]
        for mode in MODES:
            if mode not in one.modes:
                with pytest.raises(
                    UsageError, match=f"--{name} cannot be used in --mode {mode}"
                ):
                    parse([*start, mode, f"--{name}", *value])


def test_flags_of_the_original_are_all_there_with_its_defaults():
    ours = {name: one.default for name, one in FLAGS.items() if one.in_original}
    assert ours == ORIGINAL_DEFAULTS | {
        "mode": "train",
        "output_dir": None,
        "seed": None,
    }


def test_help_is_grouped_names_defaults_and_fits_80_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        parse(["--help"])
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "\nThe two networks:\n" in text
    words = " ".join(text.split())
    assert "first layer (default: 64 filters)" in words
    for name, one in FLAGS.items():
        assert f"--{name}" in words
        entry = words[words.rindex(f" --{name} ") :]
        assert one.is_required or "(default: " in entry[:400]


@pytest.mark.parametrize("mode", ["test", "export"])
def test_test_and_export_need_a_checkpoint(mode):
    with pytest.raises(UsageError, match="--checkpoint"):
        parse(["--mode", mode])


def test_the_checkpoint_decides_what_shapes_networks_and_examples(checkpoint_dir):
    arguments = ["--mode", "test", "--checkpoint", str(checkpoint_dir)]
    options = parse(arguments)
    assert options.model.ngf == 8
    assert options.pair.which_direction == "BtoA"
    assert options.optimizer.lr == 0.0002  # not restored


def test_a_flag_that_contradicts_the_checkpoint_is_named(checkpoint_dir):
    arguments = ["--mode", "test", "--checkpoint", str(checkpoint_dir), "--ngf"]
    assert parse([*arguments, "8"]).model.ngf == 8
    with pytest.raises(UsageError, match="--ngf 9 contradicts.*8"):
        parse([*arguments, "9"])


@pytest.mark.parametrize(
    "text, words",
    [
        ("{", "damaged"),
        ("[1]", "JSON object"),
        ('{"ngf": "8"}', "ngf must be a whole number"),
        ('{"ngf": true}', "ngf must be a whole number"),
        ('{"ngf": 8}', "lacks lab_colorization, ndf"),
        ('{"which_direction": "up"}', "AtoB, BtoA"),
    ],
)
def test_damaged_options_are_refused_by_path(tmp_path, text, words):
    (tmp_path / "options.json").write_text(text)
    with pytest.raises(UsageError, match=words) as error:
        parse(["--mode", "test", "--checkpoint", str(tmp_path)])
    assert "options.json" in str(error.value)


def test_options_json_is_sorted_and_holds_every_flag(tmp_path):
    options = parse(["--mode", "train", "--output_dir", str(tmp_path / "new")])
    write_options(options)
    text = (tmp_path / "new" / "options.json").read_text()
    stored = json.loads(text)
    assert stored == to_dict(options)
    assert text == json.dumps(stored, sort_keys=True, indent=4) + "\n"


def _run_config(mode, output_dir, checkpoint=None):
    return RunConfig(mode, str(output_dir), checkpoint and str(checkpoint))


def test_a_folder_of_another_mode_is_refused(tmp_path):
    (tmp_path / "options.json").write_text('{"mode": "train"}')
    check_output_dir(_run_config("train", tmp_path))
    with pytest.raises(UsageError, match="holds a train run"):
        check_output_dir(_run_config("test", tmp_path))


def test_a_trained_model_is_not_overwritten_unless_it_goes_on(tmp_path):
    (tmp_path / "options.json").write_text('{"mode": "train"}')
    (tmp_path / "checkpoint").write_text("")
    check_output_dir(_run_config("train", tmp_path, tmp_path))
    with pytest.raises(UsageError, match="holds a trained model"):
        check_output_dir(_run_config("train", tmp_path))


def test_an_output_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        check_output_dir(_run_config("train", tmp_path / "file" / "run"))


def test_training_further_keeps_the_seed_unless_told_otherwise(checkpoint_dir):
    path = checkpoint_dir / "options.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seed": 77}))
    arguments = ["--checkpoint", str(checkpoint_dir), "--mode"]
    assert parse([*arguments, "train"]).run.seed == 77
    assert parse([*arguments, "train", "--seed", "3"]).run.seed == 3
    assert parse([*arguments, "test"]).run.seed != 77


def test_a_model_without_its_options_is_not_overwritten_either(tmp_path):
    (tmp_path / "checkpoint").write_text("")
    for mode in ("train", "test", "export"):
        with pytest.raises(UsageError, match="holds a trained model"):
            check_output_dir(_run_config(mode, tmp_path))


def _read_options(folder, contents):
    path = folder / "options.json"
    path.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
    return read_options(path)


@pytest.mark.parametrize(
    "text, words",
    [
        ('{"lr": "x"}', "options.json: lr must be a finite number"),  # not restored
        ('{"lr": NaN}', "lr must be a finite number"),
        ('{"lr": 1e999}', "lr must be a finite number"),
        ('{"lr": 1' + "0" * 400 + "}", "lr must be a finite number"),
        ('{"ngf": 2.0}', "ngf must be a whole number"),
        ('{"ngf": 1000000000}', "ngf must be at most 1024, got 1000000000"),
        ('{"flip": 1}', "flip must be true or false"),
        ('{"crop_size": [1, 2, 3]}', "crop_size must be a whole number, or a height"),
        ('{"mode": "drive"}', "mode must be one of train, test, export, dcgan"),
        ('{"ngf": 2, "ngf": 3}', "damaged.*contains a key twice"),
        ('{"nfg": 2}', "'nfg' are not flags"),
        ('{"ngf": ' + "1" * 5000 + "}", "damaged"),
        ('{"a": ' + "[" * 10**5, "damaged"),
        (b"\xff\xfe", "damaged"),
        (" " * (MAX_OPTIONS_BYTES + 1), "damaged.*more than"),
    ],
)
def test_every_stored_value_is_checked(tmp_path, text, words):
    with pytest.raises(UsageError, match=words) as error:
        _read_options(tmp_path, text)
    assert len(str(error.value)) < 600 and "\n" not in str(error.value)


def test_a_byte_order_mark_and_dcgans_options_are_taken(tmp_path):
    assert _read_options(tmp_path, b'\xef\xbb\xbf{"ngf": 2}') == {"ngf": 2}
    assert _read_options(tmp_path, '{"mode": "dcgan"}') == {"mode": "dcgan"}


def test_stored_values_that_do_not_go_together_are_laid_to_the_file(checkpoint_dir):
    path = checkpoint_dir / "options.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"crop_size": 40}))
    arguments = ["--mode", "test", "--checkpoint", str(checkpoint_dir)]
    with pytest.raises(
        UsageError, match="options.json: crop_size 40 must be multiples"
    ):
        parse(arguments)
