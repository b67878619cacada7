"""Write the set-up cell into every notebook, and stamp the repository's address and the release.

    python tools/stamp.py            write them
    python tools/stamp.py --check    only say what is out of date (exit status 1)

The set-up cell (tag "setup") is tools/setup_cell.py in all of them, folded. Address and
release stand in it, in the badges and in the READMEs. The address comes from one place,
pyproject.toml's [project.urls] Repository; the release from ganlib/__init__.py. While the address
is unset, the badges are empty and the set-up cell looks for other ways. --root names another
checkout.
"""

import argparse
import json
import re
import sys
import tomllib
from pathlib import Path

SETUP = re.compile(r"^REPOSITORY, RELEASE = .*?(?=  #)", re.MULTILINE)
BADGE = re.compile(r"^<!-- badge( \S+)? -->.*$", re.MULTILINE)
CELL = Path(__file__).with_name("setup_cell.py").read_text().rstrip("\n")
FOLDED = {"cellView": "form", "jupyter": {"source_hidden": True}}  # in Colab, in JupyterLab
COLAB = "https://colab.research.google.com"


def stamped(text, repository, release, notebook):
    """The text of a cell, or of a README, with both stamps brought up to date."""

    def badge(match):
        path = (match[1] or notebook or "").strip()
        mark = f"<!-- badge{match[1] or ''} -->"
        if not repository:
            return mark
        owner = re.sub(r"^https://github\.com/", "", repository)
        target = f"{COLAB}/github/{owner}/blob/v{release}/{path}"
        return (
            f'{mark}<a href="{target}">'
            f'<img src="{COLAB}/assets/colab-badge.svg" alt="Open in Colab"></a>'
        )

    return BADGE.sub(badge, SETUP.sub(f'REPOSITORY, RELEASE = "{repository}", "{release}"', text))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1])
    options = parser.parse_args()
    root = options.root
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    repository = project.get("urls", {}).get("Repository", "").removesuffix("/")
    release = re.search(r'__version__ = "(.*)"', (root / "ganlib" / "__init__.py").read_text())[1]
    if repository and not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", repository):
        sys.exit(
            f"pyproject.toml: Repository = {repository!r}; "
            "https://github.com/OWNER/NAME is expected, as Colab opens it"
        )
    stale = []
    notebooks = root / "notebooks"
    books = [*sorted(notebooks.glob("*.ipynb")), *sorted(notebooks.glob("zh/*.ipynb"))]
    for file in [*sorted(root.glob("README*.md")), *books]:
        before = file.read_text()
        if file.suffix == ".md":
            after = stamped(before, repository, release, None)
        else:
            notebook = json.loads(before)
            for cell in notebook["cells"]:
                text = "".join(cell["source"])
                if "setup" in cell["metadata"].get("tags", []):
                    text = CELL
                    cell["metadata"] = FOLDED | {"tags": ["setup"]}
                text = stamped(text, repository, release, file.relative_to(root).as_posix())
                cell["source"] = text.splitlines(keepends=True)
            after = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        if after != before:
            stale.append(file.relative_to(root))
            if not options.check:
                file.write_text(after)
    print(
        f"{repository or 'no repository address'}, release {release}: "
        + (", ".join(map(str, stale)) or "all up to date")
    )
    sys.exit(1 if options.check and stale else 0)


if __name__ == "__main__":
    main()
