"""Test mode over parts of a folder, and their merging to what one test writes."""

import json
import shutil

import pytest

from pix2pix_tf import train
from pix2pix_tf.commands import score
from tests.conftest import read_image, write_image


def _test(checkpoint, input_dir, output_dir, *flags):
    argv = ["--mode", "test", "--checkpoint", checkpoint, "--input_dir", input_dir]
    return train.main(list(map(str, [*argv, "--output_dir", output_dir, *flags])))


def _merge(*arguments):
    return score.main(["--parts", *map(str, arguments)])


def _table(text):
    """Returns the lines of a printed table of metrics."""
    lines = text.splitlines()
    return lines[next(i for i, line in enumerate(lines) if line.startswith("l1 ")) :]


@pytest.fixture(scope="module")
def eleven_dir(tmp_path_factory):
    """A folder of 11 pairs, whose order by number is not that by name."""
    folder = tmp_path_factory.mktemp("eleven")
    for number in range(1, 12):
        write_image(folder / f"{number}.png", 32, 64, seed=number)
    return folder


@pytest.mark.parametrize("batch_size, count", [(1, 4), (2, 3), (4, 3)])
def test_merged_parts_are_what_one_test_of_all_writes(
    trained_dir, eleven_dir, extractor_path, tmp_path, capsys, batch_size, count
):
    """With dropout, whose masks differ between batches."""
    flags = ["--seed", 3, "--batch_size", batch_size]
    sets = ["--fid_weights", extractor_path, "--palette", tmp_path / "palette.csv"]
    (tmp_path / "palette.csv").write_text("dark,0,0,0\nlight,255,255,255\n")
    whole, merged = tmp_path / "a/out", tmp_path / "b/out"
    assert _test(trained_dir, eleven_dir, whole, *flags, *sets) == 0
    want = _table(capsys.readouterr().out)
    for number in reversed(range(count)):
        shard = ["--shard", f"{number}/{count}"]
        assert _test(trained_dir, eleven_dir, merged, *flags, *shard) == 0
    capsys.readouterr()
    assert _merge(merged, *map(str, sets)) == 0
    assert _table(capsys.readouterr().out) == want
    for name in ("metrics.json", "metrics.csv", "index.html"):
        assert (merged / name).read_bytes() == (whole / name).read_bytes()
    images = sorted(path.name for path in (whole / "images").iterdir())
    assert images == sorted(path.name for path in (merged / "images").iterdir())
    assert len(images) == 33
    for name in images:
        got, wanted = (read_image(one / "images" / name) for one in (merged, whole))
        assert (got == wanted).all()


def test_each_example_is_in_one_part_and_has_its_place_in_the_folder(
    trained_dir, eleven_dir, tmp_path
):
    for number in range(2):
        folder = tmp_path / f"on-machine-{number}"
        flags = ["--no_dropout", "--shard", f"{number}/2"]
        assert _test(trained_dir, eleven_dir, folder, *flags) == 0

    def names(folder):
        found = json.loads((folder / "metrics.json").read_text())["images"]
        return [image["name"] for image in found]

    parts = [tmp_path / f"on-machine-{i}/part-{i}-of-2" for i in range(2)]
    assert [names(part) for part in parts] == [list("12345"), [*"6789", "10", "11"]]
    out = tmp_path / "out"
    assert _merge(tmp_path / "on-machine-1", parts[0], "--output_dir", out) == 0
    assert names(out) == [*"123456789", "10", "11"]


def test_damaged_images_are_skipped_without_dropout(trained_dir, eleven_dir, tmp_path):
    folder = shutil.copytree(eleven_dir, tmp_path / "in")
    (folder / "2.png").write_bytes(b"x")
    flags = ["--no_dropout", "--on_bad_image", "skip"]
    whole, merged = tmp_path / "a/out", tmp_path / "b/out"
    assert _test(trained_dir, folder, whole, *flags) == 0
    for number in range(3):
        shard = ["--shard", f"{number}/3"]
        assert _test(trained_dir, folder, merged, *flags, *shard) == 0
    assert _merge(merged) == 0
    got, want = ((one / "metrics.json").read_text() for one in (merged, whole))
    assert got == want and json.loads(got)["count"] == 10


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--shard", "4/4"], "--shard must be I/N, with I from 0 to N - 1"),
        (["--shard", "a/4"], "got a/4"),
        (["--shard", "1"], "got 1"),
        (["--shard", "0/0"], "got 0/0"),
        (["--shard", "0/12"], "0/12 has nothing to do: 11 examples make at most 11"),
        (["--shard", "0/7", "--batch_size", "2"], "in batches of 2 make at most 6"),
        (["--shard", "0/2", "--max_steps", "1"], "--max_steps cannot be used with"),
        (["--shard", "0/2", "--inputs_only"], "--inputs_only cannot be used with"),
        (
            ["--shard", "0/2", "--on_bad_image", "skip", "--batch_size", "2"],
            "--batch_size cannot be used with --shard and --on_bad_image skip",
        ),
    ],
)
def test_a_part_that_is_none_is_refused(
    trained_dir, eleven_dir, tmp_path, capsys, flags, words
):
    out = tmp_path / "out"
    assert _test(trained_dir, eleven_dir, out, "--no_dropout", *flags) == 2
    assert words in capsys.readouterr().err
    assert not [path for path in out.rglob("*") if path.is_file()]


def test_parts_with_dropout_need_one_seed_and_all_images(
    trained_dir, eleven_dir, tmp_path, capsys
):
    flags = ["--shard", "0/2"]
    assert _test(trained_dir, eleven_dir, tmp_path / "out", *flags) == 2
    assert "--shard needs --seed" in capsys.readouterr().err
    flags += ["--seed", "1", "--on_bad_image", "skip"]
    assert _test(trained_dir, eleven_dir, tmp_path / "out", *flags) == 2
    assert "need --no_dropout" in capsys.readouterr().err


def test_shards_of_a_data_set_of_tfds_are_asked_for_by_split(
    trained_dir, tmp_path, capsys
):
    argv = ["--mode", "test", "--checkpoint", str(trained_dir), "--dataset", "x"]
    assert train.main([*argv, "--shard", "0/2", "--seed", "1"]) == 2
    assert "give --split" in capsys.readouterr().err


def test_parts_that_do_not_make_a_whole_are_named(
    trained_dir, eleven_dir, tmp_path, capsys
):
    out = tmp_path / "out"

    def error(*folders):
        assert _merge(*folders) == 2
        return capsys.readouterr().err

    def test(shard, *flags):
        flags = ["--no_dropout", "--shard", shard, *flags]
        assert _test(trained_dir, eleven_dir, out, *flags) == 0

    assert "out is not a folder" in error(out)
    out.mkdir()
    assert "has no folders part-I-of-N" in error(out)
    test("1/3")
    test("0/3")
    assert "lacks 2/3: wanted each of 0/3 to 2/3 once" in error(out)
    test("0/4")
    assert "several tests, of 3 and of 4" in error(out)
    shutil.rmtree(out / "part-0-of-4")
    test("2/3", "--aspect_ratio", "2")
    assert "0/3 has --aspect_ratio 1.0, and 2/3 2.0" in error(out)
    test("2/3")
    again = ["--output_dir", tmp_path / "merged"]
    assert "has a part twice" in error(out, out / "part-2-of-3", *again)
    (out / "part-1-of-3/images/5-targets.png").unlink()
    assert "5-targets.png is missing: test this part again" in error(out)
    (out / "part-1-of-3/metrics.json").unlink()
    assert "did not end, start it again" in error(out)
    assert score.main([]) == 2
    assert "either a folder of outputs, or --parts" in capsys.readouterr().err
    assert "needs --output_dir" in error(out, out)
