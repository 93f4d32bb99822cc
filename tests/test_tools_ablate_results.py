"""The table of an ablation: means, spreads, and what is marked as better."""

import csv
from pathlib import Path

import numpy as np
import pytest

import ablate
import ablate_results

DOTS = ("amplitude", "period 4", "period 8")
HIGHER = ("psnr", "ssim", "histogram_l", "histogram_a", "histogram_b")
TARGETS = {"amplitude": 0.6, "period 4": 1.3, "period 8": 1.2}


def read_rows(path):
    """Returns {first cell: {heading: cell}} of the table in a Markdown file."""
    lines = [line for line in path.read_text().splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    return {row[1]: dict(zip(head, row, strict=True)) for row in rows}


def _done(combination, **numbers):
    """Returns [(Run, result), ...] of a combination: {metric: value of each seed}."""
    [count] = {len(values) for values in numbers.values()}
    done = []
    for place in range(count):
        name = f"{combination},seed={place}"
        values = dict(part.split("=") for part in name.split(","))
        run = ablate.Run(
            name, combination, values, Path(name), {"ngf": 64, "seed": 0}, {}, ""
        )
        result = dict.fromkeys(ablate_results.METRICS, 0.0) | {"targets": TARGETS}
        result |= {"steps": 7, "generator_parameters": 5, "discriminator_parameters": 3}
        result |= {metric: values[place] for metric, values in numbers.items()}
        done.append((run, result))
    return done


def _table(tmp_path, *done):
    ablate_results.write_tables(tmp_path, [*done], "the images of x (2)")
    return read_rows(tmp_path / "table.md")


def test_cells_are_means_spreads_and_marks_as_numpy_computes_them(tmp_path):
    rng = np.random.default_rng(3)
    names = list(ablate_results.METRICS)
    draws = rng.uniform(0.1, 2.5, [len(names), 8, 1])
    draws = draws + rng.normal(0, 0.3, [len(names), 8, 3])
    done = []
    for place in range(8):
        numbers = dict(zip(names, draws[:, place].tolist(), strict=True))
        done += _done(f"ngf={place}", **numbers)
    rows = _table(tmp_path, *done)
    marks = 0
    for name, values in zip(names, draws, strict=True):
        compared = np.abs(values - TARGETS[name]) if name in DOTS else values
        means, spreads = compared.mean(axis=1), compared.std(axis=1, ddof=1)
        sign = 1 if name in HIGHER else -1
        decimals = 2 if name in ("psnr", *DOTS) else 3
        for place in range(8):
            mean, spread = values[place].mean(), np.std(values[place], ddof=1)
            wanted = f"{mean:.{decimals}f} ± {spread:.{decimals}f}"
            if sign * (means[place] - means[0]) > spreads[place] + spreads[0]:
                wanted += " *"
                marks += 1
            assert rows[f"ngf={place}"][name] == wanted
    assert 10 < marks < 60  # of 70
    assert {row["seeds"] for name, row in rows.items() if name != "targets"} == {"3"}


FIRST = [0.49, 0.50, 0.51]  # with a sample standard deviation of 0.01


@pytest.mark.parametrize(
    "metric, values, is_marked",
    [
        ("l1", [0.469, 0.479, 0.489], True),
        ("l1", [0.471, 0.481, 0.491], False),  # 0.019 < 0.01 + 0.01
        ("l1", [0.511, 0.521, 0.531], False),
        ("lpips", [0.469, 0.479, 0.489], True),
        ("psnr", [0.511, 0.521, 0.531], True),
        ("psnr", [0.469, 0.479, 0.489], False),
        ("histogram_a", [0.511, 0.521, 0.531], True),
        ("amplitude", [0.511, 0.521, 0.531], True),  # the targets have 0.6
        ("amplitude", [0.469, 0.479, 0.489], False),
        ("amplitude", [0.681, 0.691, 0.701], False),  # nearly as far, on the other side
        ("amplitude", [0.669, 0.679, 0.689], True),
        ("l1", [0.4, 0.4, 0.4], True),
        ("l1", [0.4], False),  # the spread is not known
    ],
)
def test_what_is_better_by_more_than_both_spreads_is_marked(
    metric, values, is_marked, tmp_path
):
    done = _done("ngf=2", **{metric: FIRST}) + _done("ngf=3", **{metric: values})
    rows = _table(tmp_path, *done)
    assert not rows["ngf=2"][metric].endswith("*")
    assert rows["ngf=3"][metric].endswith(" *") == is_marked


def test_a_first_row_of_one_seed_marks_nothing(tmp_path):
    done = _done("ngf=2", l1=[0.5]) + _done("ngf=3", l1=[0.1, 0.2, 0.3])
    assert _table(tmp_path, *done)["ngf=3"]["l1"] == "0.200 ± 0.100"


def test_the_targets_have_a_row_of_their_dots(tmp_path):
    row = _table(tmp_path, *_done("ngf=2", l1=[0.5, 0.6]))["targets"]
    assert {name: cell for name, cell in row.items() if name and cell} == {
        "run": "targets",
        "amplitude": "0.60",
        "period 4": "1.30",
        "period 8": "1.20",
    }


def test_what_a_test_does_not_have_is_left_empty(tmp_path):
    nothing = {"lpips": [None, None], "period 4": [None, None], "ssim": [None, 0.25]}
    rows = _table(tmp_path, *_done("ngf=2", **nothing))
    assert "lpips" not in rows["ngf=2"]
    assert rows["ngf=2"]["period 4"] == "" and rows["ngf=2"]["ssim"] == "0.250"
    assert "lpips" in _table(tmp_path, *_done("ngf=2", lpips=[None, 0.5]))["ngf=2"]


def test_steps_that_differ_are_all_named(tmp_path):
    row = _table(tmp_path, *_done("ngf=2", steps=[9, 4, 9]))["ngf=2"]
    assert row["steps"] == "9, 4" and row["generator_parameters"] == "5"


def test_the_csv_file_has_the_single_runs(tmp_path):
    _table(tmp_path, *_done("ngf=2", l1=[0.5, 0.75], psnr=[9.0, 8.0]))
    with open(tmp_path / "table.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["run"], first["ngf"], first["seed"]) == ("ngf=2,seed=0", "2", "0")
    assert (first["l1"], second["l1"], second["psnr"]) == (
        "0.50000",
        "0.75000",
        "8.000",
    )
