"""Which files make which example, and what the examples are called."""

import unicodedata

import pytest

from pix2pix_tf import data
from pix2pix_tf.runtime.errors import UsageError


def _touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def _stems(folder):
    return [example.paths[0].stem for example in data.find_examples(folder)]


def test_all_formats_in_any_case_are_found_and_sorted_by_number(tmp_path):
    _touch(tmp_path, "10.png", "9.JPG", "2.jpeg", "1.Png", "notes.txt", "._1.png")
    _touch(tmp_path, "3.webp", "4.TIFF", "5.bmp", "6.gif", "7.tif", "8.npy")
    (tmp_path / "11.png").mkdir()
    assert _stems(tmp_path) == [str(number) for number in range(1, 11)]


def test_names_that_are_not_all_numbers_are_sorted_as_text(tmp_path):
    _touch(tmp_path, "b.png", "10.png", "9.png", "a.jpg")
    assert _stems(tmp_path) == ["10", "9", "a", "b"]


def test_a_missing_or_empty_folder_is_refused_by_name(tmp_path):
    with pytest.raises(UsageError, match="--input_dir .*gone is not a folder"):
        data.find_examples(tmp_path / "gone")
    with pytest.raises(UsageError, match="has no images.*.jpeg"):
        data.find_examples(tmp_path)


def test_a_folder_of_folders_names_the_likely_one(tmp_path):
    _touch(tmp_path, "test/1.png", "train/1.png", "notes/a.txt")
    (tmp_path / "x.heic").mkdir()
    (tmp_path / ".hidden").mkdir()
    _touch(tmp_path, ".hidden/1.png")
    likely = f"give one of these, {tmp_path}/test, {tmp_path}/train$"
    with pytest.raises(UsageError, match=likely):
        data.find_examples(tmp_path)


def test_a_folder_of_images_that_are_not_read_says_so(tmp_path):
    _touch(tmp_path, "a.HEIC", "._a.heic")
    with pytest.raises(UsageError, match="are read: convert a.HEIC to PNG or JPEG$"):
        data.find_examples(tmp_path)


def test_names_in_different_unicode_forms_pair(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    _touch(tmp_path, f"a/{composed}.png", f"b/{decomposed}.png")
    [example] = data.find_examples(tmp_path / "a", tmp_path / "b")
    assert [path.stem for path in example.paths] == [composed, decomposed]


def test_one_file_or_a_pattern_is_enough_where_that_is_allowed(tmp_path):
    _touch(tmp_path, "x/a.png", "x/b.JPG", "y/a.png", "x/notes.txt")

    def find(pattern):
        found = data.find_examples(tmp_path / pattern, is_one_enough=True)
        return [example.name for example in found]

    assert find("x/a.png") == ["a"]
    assert find("x/notes.txt") == ["notes"]  # by name: what is in it decides
    assert find("x/*") == ["a", "b"]
    assert find("**/*.png") == ["1-a.png", "2-a.png"]
    with pytest.raises(UsageError, match="not a folder or a file, and no image"):
        find("z/*")


def test_names_stay_unique_when_whole_names_clash_with_stems(tmp_path):
    _touch(tmp_path, "a.png", "a.jpg", "a.png.jpg")
    names = [example.name for example in data.find_examples(tmp_path)]
    assert sorted(names) == ["a.jpg", "a.png", "a.png.jpg"]


def test_files_that_share_a_stem_keep_their_whole_names(tmp_path):
    _touch(tmp_path, "1.jpg", "2.png", "1.png", "2a.png")
    names = [example.name for example in data.find_examples(tmp_path)]
    assert sorted(names) == ["1.jpg", "1.png", "2", "2a"]


def test_two_folders_are_paired_by_the_path_without_its_suffix(tmp_path):
    _touch(tmp_path, "A/2.jpg", "A/10.png", "A/cats/1.webp", "A/notes.txt")
    _touch(tmp_path, "B/2.TIF", "B/10.jpg", "B/cats/1.png", "B/._2.png")
    found = data.find_examples(tmp_path / "A", tmp_path / "B")
    relative = [
        (example.name, *(str(path.relative_to(tmp_path)) for path in example.paths))
        for example in found
    ]
    assert sorted(relative) == [
        ("10", "A/10.png", "B/10.jpg"),
        ("2", "A/2.jpg", "B/2.TIF"),
        ("cats/1", "A/cats/1.webp", "B/cats/1.png"),
    ]


def test_missing_and_double_partners_are_all_named_at_once(tmp_path):
    _touch(tmp_path, "A/1.png", "A/2.png", "A/3.png", "A/3.jpg", "A/5.png")
    _touch(tmp_path, "B/1.png", "B/3.png", "B/sub/4.png", "B/5.png")
    with pytest.raises(UsageError) as error:
        data.find_examples(tmp_path / "A", tmp_path / "B")
    message = str(error.value)
    for words in ("B/2.* (likewise ", "A/sub/4.*) is missing", "3.jpg and", "two for"):
        assert words in message
    assert "1.png" not in message and "5.png" not in message
