"""The report's page: one HTML file, with its figures in it."""

import base64
from html import escape

from run_report import records

from pix2pix_tf.runtime.files import printable


def render(title, runs, figures):
    """Returns the text of the page.

    Args:
        title: str.
        runs: list of Run.
        figures: list of (file name, heading, bytes of a PNG).
    """
    sections = [_section("Runs", _runs_table(runs)), _options_section(runs)]
    sections.append(_section("Last figures", _finals_table(runs)))
    for name, heading, contents in figures:
        source = "data:image/png;base64," + base64.b64encode(contents).decode()
        sections.append(
            _section(
                heading,
                f'<figure><img src="{source}" alt="{escape(heading)}" />'
                f"<figcaption>{escape(name)}</figcaption></figure>",
            )
        )
    return _PAGE.format(title=escape(title), body="\n".join(sections))


def _section(heading, contents):
    return f"<section>\n<h2>{escape(heading)}</h2>\n{contents}\n</section>"


def _runs_table(runs):
    rows = []
    for run in runs:
        step = records.last_step(run)
        mode = records.option_text(run.options.get("mode"))
        rows.append([run.name, printable(run.folder), mode, _number(step)])
    return _table(["run", "folder", "mode", "last step"], rows)


def _options_section(runs):
    """Returns the options in which runs differ, or all those of a single run."""
    if len(runs) == 1:
        [run] = runs
        rows = [
            [name, records.option_text(value)]
            for name, value in sorted(run.options.items())
        ]
        table = _table(["option", "value"], rows)
        return f"<details>\n<summary>Options</summary>\n{table}\n</details>"
    differing = records.differing_options(runs)
    rows = [
        [name, *map(records.option_text, values)] for name, values in differing.items()
    ]
    head = ["option", *(run.name for run in runs)]
    contents = _table(head, rows) if rows else "<p>They do not differ.</p>"
    return _section("Differing options", contents)


def _finals_table(runs):
    finals = records.final_figures(runs)
    rows = [[label, *map(_number, values)] for label, values in finals.items()]
    return _table(["figure", *(run.name for run in runs)], rows)


def _number(value):
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.5g}"


def _table(head, rows):
    """Returns a table of texts, which are escaped here."""
    lines = ["<tr>" + "".join(f"<th>{_cell(text)}</th>" for text in head) + "</tr>"]
    for row in rows:
        lines.append("<tr>" + "".join(f"<td>{_cell(text)}</td>" for text in row))
        lines[-1] += "</tr>"
    lines = "\n".join(lines)
    return f'<div class="wide"><table>\n{lines}\n</table></div>'


def _cell(text):
    return escape(printable(text))


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width" />
<title>{title}</title>
<style>
body {{ font-family: sans-serif; margin: 1em auto; max-width: 1440px; padding: 0 1em; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: 0.9em; }}
th, td {{ border: 1px solid #ccc; padding: 0.3em 0.6em; text-align: left; }}
th {{ background: #f2f2f2; }}
figure {{ margin: 0; }}
details {{ margin-top: 1em; }}
figcaption {{ color: #666; font-size: 0.8em; }}
img {{ max-width: 100%; }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""
