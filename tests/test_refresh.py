"""What tools/refresh.py keeps of a notebook that was run, and what it drops."""

import sys

from conftest import ROOT

sys.path.insert(0, str(ROOT / "tools"))
from refresh import clean  # noqa: E402

WIDGET = "application/vnd.jupyter.widget-view+json"


def cell(metadata, *bundles):
    outputs = [{"output_type": "display_data", "data": data, "metadata": {}} for data in bundles]
    return {"cell_type": "code", "metadata": metadata, "source": [], "outputs": outputs}


def cleaned(*cells):
    return clean({"cells": list(cells), "metadata": {"papermill": {}, "colab": {}}})["cells"]


def test_the_form_and_tags_stay_and_what_papermill_adds_goes():
    (setup, plain) = cleaned(
        cell(
            {
                "cellView": "form",
                "jupyter": {"source_hidden": True},
                "tags": ["setup"],
                "papermill": {"duration": 1},
            }
        ),
        cell({"tags": ["papermill-error-cell-tag"], "execution": {}}),
        cell({"tags": ["injected-parameters"]}),
    )
    assert (
        setup["metadata"]
        == {"cellView": "form", "jupyter": {"source_hidden": True}, "tags": ["setup"]}
        and plain["metadata"] == {}
    )


def test_controls_beside_a_picture_print_as_controls():
    controls = {WIDGET: {"model_id": "1"}, "text/plain": ["VBox(children=(HBox(children=..."]}
    picture = {"image/jpeg": "", "text/plain": ["<board>"]}
    beside, alone = cleaned(cell({}, picture, dict(controls)), cell({}, dict(controls)))
    assert [output["data"]["text/plain"] for output in beside["outputs"]] == [
        ["<board>"],
        ["<controls>"],
    ]
    assert beside["outputs"][1]["data"][WIDGET] == {"model_id": "1"}
    assert alone["outputs"][0]["data"] == controls
