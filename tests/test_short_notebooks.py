"""Notebooks 03 to 10 but 06, as short as they go: beside test_later_notebooks.py, so that two
processes share them.
"""

import papermill
from conftest import ROOT
from milling import CHOOSE, JUDGE, SAY, STYLE, TURN, mill, read, shortest
from test_later_notebooks import others, trained

WITH_CONTROLS = CHOOSE, JUDGE, TURN, SAY, STYLE


@others
def test_the_later_notebooks(path, tmp_path):
    """As short as they go, from the repository's root."""
    assert {"SEED", "IMAGES", "RUN", "FRESH"} <= set(papermill.inspect_notebook(str(path)))
    done = mill(
        path.relative_to(ROOT), tmp_path / "out.ipynb", ROOT, RUN=tmp_path / "run", **shortest(path)
    )
    assert "unknown parameter" not in done.stderr.lower()
    trained(done, tmp_path / "out.ipynb", again=False)
    assert "widgets" not in read(tmp_path / "out.ipynb").metadata or path in WITH_CONTROLS
