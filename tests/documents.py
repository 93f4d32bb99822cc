"""What the tests of the documents share: the files, and the parts of their text."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS_DIR = ROOT / "docs"
DOCUMENTS = [*ROOT.glob("*.md"), *DOCS_DIR.glob("*.md"), *ROOT.glob("deploy/*.md")]

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(path, language):
    """Returns [(FILE:LINE, text)] of the fenced blocks in a language."""
    text = path.read_text(encoding="utf-8")
    return [
        (place(path, text, found.start(2)), found[2])
        for found in BLOCK.finditer(text)
        if found[1] == language
    ]


def prose(path):
    """Returns the text of a document, with spaces in place of its blocks."""
    text = path.read_text(encoding="utf-8")
    return BLOCK.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def place(path, text, offset):
    """Returns FILE:LINE of an offset in the text of a document."""
    return f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, offset) + 1}"
