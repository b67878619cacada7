"""Draw the images of an exported page by node, which has the browser's JavaScript."""

import json
import shutil
import subprocess

import pytest
import torch

WITHOUT_BROWSER = (
    """
const fs = require("fs"), text = fs.readFileSync(process.argv[1], "utf8");
const program = /application\\/json">(.*?)<\\/script>/s.exec(text)[1];
const weights = /text\\/plain">(.*?)<\\/script>/s.exec(text)[1];
const code = /<script>\\n"use strict";(.*?)const \\[C, H, W\\]/s.exec(text)[1];
"""
    "const document = { getElementById: name => "
    '({ textContent: name === "program" ? program : weights }) };'
    """
const generate = new Function("document", code + "\\nreturn generate;")(document);
const asked = JSON.parse(fs.readFileSync(0));
"""
    "console.log(JSON.stringify(asked.z.map((z, i) => "
    "Array.from(generate(Float32Array.from(z), asked.labels[i])))));\n"
)


def drawn_by(file, inputs):
    """Return what the page's player draws for (z,) or (z, labels), `(N, numbers of an image)`;
    skip the test if node is missing.
    """
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    z, labels = (*inputs, torch.zeros(len(inputs[0]), dtype=torch.int64))[:2]
    done = subprocess.run(
        ["node", "-e", WITHOUT_BROWSER, file],
        input=json.dumps({"z": z.tolist(), "labels": labels.tolist()}),
        text=True,
        capture_output=True,
        check=True,
    )
    return torch.tensor(json.loads(done.stdout))
