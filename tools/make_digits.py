"""Make ganlib/assets: the first 10,000 of MNIST's 60,000 training digits, in MNIST's own format.

    python tools/make_digits.py FOLDER_WITH_train-images-idx3-ubyte.gz

Prints the SHA-256 of each file for ganlib/data/loading.py.
MNIST: Y. LeCun, C. Cortes, C. Burges, CC BY-SA 3.0.
"""

import gzip
import hashlib
import sys
from pathlib import Path

COUNT = 10_000
ASSETS = Path(__file__).parents[1] / "ganlib" / "assets"


def main(folder):
    for kind, header, size in (("images-idx3", 16, 784), ("labels-idx1", 8, 1)):
        raw = gzip.decompress((Path(folder) / f"train-{kind}-ubyte.gz").read_bytes())
        cut = raw[:4] + COUNT.to_bytes(4, "big") + raw[8 : header + COUNT * size]
        packed = gzip.compress(cut, compresslevel=9, mtime=0)
        (ASSETS / f"digits-{kind}-ubyte.gz").write_bytes(packed)
        print(
            f'    "digits-{kind}-ubyte.gz": "{hashlib.sha256(packed).hexdigest()}",'
            f"  # {len(packed):,} bytes"
        )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
