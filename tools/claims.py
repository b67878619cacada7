"""List the numbers in the notebooks' prose that come from outputs, and say which became stale.

    python tools/claims.py [NOTEBOOK ...]      all by default; exit status 1 if any is stale

In a markdown cell, `2,116<!--=table-->` claims that the cell with the id `table` printed 2,116, up
to the rounding of the prose. Printed is text of its standard output, and the `text/plain` of its
results. A share may be a percentage on either side: `98 %` is 98.3, 98.3 % or 0.983, and 0.98 is
98.3 % too. A unit may stand between number and mark: `25 times`, `25x`, `3 min`, `0.5 MB`.
"""

import json
import re
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIGITS = r"(?:\d{1,3}(?:[,\u2009\u202f]\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+"
NUMBER = rf"(?<![\w.])(?:(?<![\w.)\]])[-\u2212+])?(?:{DIGITS})(?:[eE][-+]?\d+)?"
PERCENT = r"\s?(?:%|percent\b|per cent\b)"
MARK = re.compile(r"<!--\s*=(.*?)-->", re.DOTALL)
# what stands before a mark: a number; perhaps in bold or code; perhaps a unit
CLAIM = re.compile(rf"({NUMBER})[*_`]*(?:({PERCENT})|[\s\u00a0]?[^\W\d_]+|\u00d7)?[*_`]*\Z")
FOUND = re.compile(rf"({NUMBER})({PERCENT})?")
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")  # colours


@dataclass
class Claim:
    """A mark: where it stands, the prose's number, the cell of the output, and what is there."""

    notebook: str
    cell: str
    number: str
    target: str
    nearest: str | None = None
    problem: str | None = None

    def __str__(self):
        if self.problem:
            return self.problem
        return (
            f"{self.notebook}, cell {self.cell}: {self.number} is {self.nearest} in {self.target}"
        )


def decimal(number):
    """Return the value of a number as it is written, exactly."""
    return Decimal(re.sub("[,\u2009\u202f]", "", number).replace("\u2212", "-"))


def distance(number, percent, other, other_percent):
    """Return how far two numbers lie apart, in the unit of the first: percent or as it stands."""
    value, there = decimal(number), decimal(other)
    readings = [there]
    if percent and not other_percent:
        readings.append(there * 100)
    if other_percent and not percent:
        readings.append(there / 100)
    return min(abs(value - reading) for reading in readings)


def rounding(number):
    """Return half a unit of the last digit that is written."""
    return Decimal(1).scaleb(decimal(number).as_tuple().exponent) / 2


def printed(cell):
    """Return what a cell printed, and its results as text."""
    parts = []
    for output in cell.get("outputs", []):
        if output["output_type"] == "stream" and output["name"] == "stdout":
            parts.append("".join(output["text"]))
        parts.append("".join(output.get("data", {}).get("text/plain", "")))
    return ESCAPE.sub("", "\n".join(parts))


def claims(notebook, name):
    """Return the `Claim` of each mark in a notebook, which is JSON, in the order of the text."""
    cells = {cell["id"]: cell for cell in notebook["cells"] if "id" in cell}
    found = []
    for i, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] != "markdown":
            continue
        text, here = "".join(cell["source"]), cell.get("id", f"number {i + 1}")
        for mark in MARK.finditer(text):
            before = CLAIM.search(text[: mark.start()])
            words = text[max(0, mark.start() - 20) : mark.start()]
            claim = Claim(name, here, before[0] if before else words, mark[1].strip())
            check(claim, before, cells.get(claim.target))
            found.append(claim)
    return found


def check(claim, before, cell):
    """Fill in what `cell` printed nearest to a claim's number, and what is wrong with the claim."""
    start = f"{claim.notebook}, cell {claim.cell}: {claim.number!r} is said to come from the output"
    start += f" of cell {claim.target!r}"
    if before is None:
        claim.problem = f"{start}, but no number stands right before the mark"
    elif cell is None:
        claim.problem = f"{start}, but the notebook has no cell of this id"
    elif cell["cell_type"] != "code":
        claim.problem = f"{start}, but that is a cell of text"
    elif not cell["outputs"]:
        claim.problem = f"{start}, which has no output"
    else:
        numbers = FOUND.findall(printed(cell))
        apart = [distance(*before.groups(), *other) for other in numbers]
        if not numbers:
            claim.problem = f"{start}, which prints no number"
            return
        closest = min(range(len(numbers)), key=apart.__getitem__)
        claim.nearest = "".join(numbers[closest])
        if apart[closest] > rounding(before[1]):
            claim.problem = f"{start}, where the nearest number is {claim.nearest}"


def short(path):
    """Return a notebook's name, with its folder if that is a language's."""
    return f"zh/{path.name}" if path.parent.name == "zh" else path.name


def main(paths):
    everything = []
    notebooks = ROOT / "notebooks"
    for path in paths or sorted([*notebooks.glob("*.ipynb"), *notebooks.glob("zh/*.ipynb")]):
        everything += claims(json.loads(Path(path).read_text()), short(Path(path)))
    stale = sum(claim.problem is not None for claim in everything)
    for claim in everything:
        print("STALE" if claim.problem else "  ok ", claim)
    print(f"{len(everything)} claims, {stale} of them stale")
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
