"""The report's page: one HTML file, with its plots in it."""

import base64
from html import escape
from pathlib import Path
from string import Template

from pix2pix_tf.commands.plot import runs
from pix2pix_tf.runtime.files import printable

TEMPLATE_PATH = Path(__file__).with_name("page.html")


def render(title: str, all_runs: list[runs.Run], plots: list) -> str:
    """Returns the text of the page; `plots` are (file name, heading, PNG's bytes)."""
    names = [run.name for run in all_runs]
    summary = {}
    for run in all_runs:
        last = max((curve.steps[-1] for curve in run.curves.values()), default="-")
        summary[run.name] = [run.folder, run.options.get("mode"), last]
    sections = {"Runs": _table(["run", "folder", "mode", "last step"], summary)}
    if len(all_runs) == 1:
        used = {name: [value] for name, value in sorted(all_runs[0].options.items())}
        table = _table(["option", "value"], used, runs.option_text)
        sections["Options"] = f"<details><summary>all</summary>{table}</details>"
    else:
        differing = runs.differing_options(all_runs)
        sections["Differing options"] = _table(["option", *names], differing)
    last = runs.last_metrics(all_runs)
    sections["Last metrics"] = _table(["metric", *names], last, _number_text)
    for name, heading, contents in plots:
        source = "data:image/png;base64," + base64.b64encode(contents).decode()
        image = f'<img src="{source}" alt="{escape(heading)}" />'
        caption = f"<figcaption>{escape(name)}</figcaption>"
        sections[heading] = f"<figure>{image}{caption}</figure>"
    texts = [f"<h2>{escape(head)}</h2>\n{text}\n" for head, text in sections.items()]
    page = Template(TEMPLATE_PATH.read_text(encoding="utf-8"))
    return page.substitute(title=escape(title), body="".join(texts))


def _table(head, rows, to_text=str):
    """Returns a table of {first cell: [value of each other cell]}, escaped."""
    lines = [("th", head)]
    lines += [("td", [name, *map(to_text, rows[name])]) for name in rows]
    text = '<div class="wide"><table>\n'
    for tag, cells in lines:
        cells = (f"<{tag}>{escape(printable(cell))}</{tag}>" for cell in cells)
        text += f"<tr>{''.join(cells)}</tr>\n"
    return f"{text}</table></div>"


def _number_text(value):
    return "-" if value is None else f"{value:.5g}"
