"""Makes the table of values in chart/README.md from the comments in chart/values.yaml.

A comment that begins with `# --` documents the key below it. A key with keys of its own either has such a comment, and is
one row, or its keys are rows. `python tests/chart/readme.py` writes the table anew; a test compares it.
"""

import json
import re
import sys
from pathlib import Path

import yaml

CHART = Path(__file__).resolve().parents[2] / "chart"
BEGIN, END = "<!-- values: made by tests/chart/readme.py -->\n", "<!-- end of values -->\n"


class Undocumented(Exception):
    """Keys without a comment, or a comment without a key."""


def comments(lines):
    """The line number of the key → the text above it."""
    found, text = {}, None
    for number, line in enumerate(lines):
        stripped = line.strip()
        if stripped.startswith("# -- "):
            text = [stripped[5:]]
        elif stripped.startswith("# ") and text is not None:
            text.append(stripped[2:])
        elif stripped and not stripped.startswith("#") and text is not None:
            found[number] = " ".join(text)
            text = None
    if text is not None:
        raise Undocumented(f"a comment documents nothing: {text}")
    return found


def plain(node):
    return yaml.safe_load(yaml.serialize(node))


def rows(node, texts, path=()):
    for key, value in node.value:
        here = (*path, key.value)
        text = texts.pop(key.start_mark.line, None)
        if text is not None:
            yield ".".join(here), plain(value), text
        elif isinstance(value, yaml.MappingNode) and value.value:
            yield from rows(value, texts, here)
        else:
            raise Undocumented(f"{'.'.join(here)} has no comment that begins with `# --`")


def values(text):
    texts = comments(text.splitlines())
    found = list(rows(yaml.compose(text), texts))
    if texts:
        raise Undocumented(f"comments within a documented key: {sorted(texts.values())}")
    return found


def table(text):
    lines = ["| value | default | |", "|---|---|---|"]
    for path, default, words in values(text):
        shown = json.dumps(default, ensure_ascii=False)
        cell = "see values.yaml" if len(shown) > 60 else f"`{shown}`"
        lines.append("| `{}` | {} | {} |".format(path, *(part.replace("|", "\\|") for part in (cell, words))))
    return "\n".join(lines) + "\n"


def with_table(readme, text):
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.S)
    if len(pattern.findall(readme)) != 1:
        raise Undocumented("the README does not have the two marks of the table")
    return pattern.sub(lambda _: BEGIN + table(text) + END, readme)


if __name__ == "__main__":
    path = CHART / "README.md"
    path.write_text(with_table(path.read_text(), (CHART / "values.yaml").read_text()))
    sys.exit(0)
