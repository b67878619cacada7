"""Make ganlib/assets/faces.npz.xz: 10,000 pixel faces of 16 x 16, each with its attributes.

    npm install @dicebear/core@9.4.3 @dicebear/pixel-art@9.4.3 @resvg/resvg-js@2.6.2
    python tools/make_faces.py FOLDER_OF_node_modules

`faces.mjs` draws them in two minutes, from one seed. The file holds `colours (K, 3)` and, for each
pixel, the number of its colour `(N, 16, 16)`, uint16, and `attributes (N, 6)`, uint8, in the order
of ganlib/data/shipped/faces.py. Prints the SHA-256 for that file. DiceBear's pixel-art: design
CC0 1.0, code MIT.
"""

import hashlib
import io
import json
import lzma
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy

ROOT = Path(__file__).parents[1]
COUNT = 10_000


def main(place):
    with tempfile.TemporaryDirectory(dir=place) as folder:  # node looks for packages from there
        script = shutil.copy(ROOT / "tools" / "faces.mjs", folder)
        subprocess.run(["node", script, str(COUNT), folder], check=True)
        pixels = numpy.fromfile(Path(folder, "pixels.bin"), numpy.uint8).reshape(COUNT, 16, 16, 3)
        attributes = json.loads(Path(folder, "attributes.json").read_text())
    colours, numbers = numpy.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    made = io.BytesIO()
    numpy.savez(
        made,
        colours=colours,
        pixels=numbers.reshape(COUNT, 16, 16).astype(numpy.uint16),
        attributes=numpy.array(attributes, numpy.uint8),
    )
    content = lzma.compress(_without_dates(made.getvalue()), preset=9)
    (ROOT / "ganlib" / "assets" / "faces.npz.xz").write_bytes(content)
    print(f'FACES = "{hashlib.sha256(content).hexdigest()}"  # {len(content):,} bytes')


def _without_dates(content):
    """Return a zip's content with the first date that zips know: the same each time."""
    import zipfile

    again = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(again, "w") as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name), old.read(name))
    return again.getvalue()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
