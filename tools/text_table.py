"""A Markdown table, whose text is aligned too."""


def markdown(rows: list[list[str] | tuple[str, ...]]) -> str:
    """Returns a table whose first row is the head; all rows have the same length."""
    rows = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    lines = [f"| {' | '.join(map(str.ljust, row, widths))} |\n" for row in rows]
    return "".join(lines)
