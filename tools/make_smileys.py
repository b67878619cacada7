"""Make ganlib/assets/smileys.png: 169 of Twemoji's smileys, 32 x 32 pixels on white, 13 in a row.

    python tools/make_smileys.py FOLDER_OR_ZIP

The source is the folder img/twitter/64 of the npm package emoji-datasource-twitter 16.0.0, with the
icons of "Smileys & Emotion" in smileys-emotion/. Prints the SHA-256 for
ganlib/data/shipped/smileys.py.
Twemoji: Copyright Twitter, Inc. and other contributors, CC BY 4.0.
"""

import hashlib
import io
import sys
import zipfile
from pathlib import Path

from PIL import Image

ASSETS = Path(__file__).parents[1] / "ganlib" / "assets"
SIDE, COLUMNS = 32, 13


def icons(place):
    """Yield the icons of smileys-emotion, in the order of their names."""
    if place.is_dir():
        found = sorted(place.glob("smileys-emotion/*.png"))
        yield from (Image.open(file) for file in found)
        return
    with zipfile.ZipFile(place) as packed:
        for name in sorted(packed.namelist()):
            if name.startswith("smileys-emotion/") and name.endswith(".png"):
                yield Image.open(io.BytesIO(packed.read(name)))


def main(place):
    made = []
    for icon in icons(Path(place)):
        paper = Image.new("RGBA", icon.size, "white")
        paper.alpha_composite(icon.convert("RGBA"))
        made.append(paper.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    sheet = Image.new("RGB", (COLUMNS * SIDE, len(made) // COLUMNS * SIDE))
    for i in range(len(made) // COLUMNS * COLUMNS):
        sheet.paste(made[i], (i % COLUMNS * SIDE, i // COLUMNS * SIDE))
    file = ASSETS / "smileys.png"
    sheet.save(file, optimize=True)
    content = file.read_bytes()
    print(f'SMILEYS = "{hashlib.sha256(content).hexdigest()}"  # {len(content):,} bytes')


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
