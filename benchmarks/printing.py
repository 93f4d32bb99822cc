"""How the benchmarks show their results: lists, tables, JSON files."""

import json
from pathlib import Path


def print_values(values):
    """Prints {name: str, int or float}, one per line."""
    for name, value in values.items():
        if isinstance(value, float):
            value = f"{value:.4g}"
        elif isinstance(value, int):
            value = f"{value:,}"
        print(f"{name:<30}{value}", flush=True)


def print_table(rows, columns):
    """Prints results as a table.

    Args:
        rows: list of dict.
        columns: {key of a row: (heading, format)}. A value of None is shown as "-".
    """
    cells = [[heading for heading, _ in columns.values()]]
    for row in rows:
        cells.append(
            [
                "-" if row[key] is None else format(row[key], spec)
                for key, (_, spec) in columns.items()
            ]
        )
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        pairs = zip(line, widths, strict=True)
        print("  ".join(f"{cell:>{width}}" for cell, width in pairs), flush=True)


def write_json(path, contents):
    """Writes the file of --json; does nothing if path is None."""
    if path is not None:
        Path(path).write_text(json.dumps(contents, indent=4) + "\n", encoding="utf-8")
