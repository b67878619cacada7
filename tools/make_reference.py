"""Make ganlib/assets/mnist-features.safetensors.

It holds what the digit classifier sees in 10,000 training and all test digits.

    python tools/make_reference.py FOLDER_OF_torchvision

The training digits are the 10,000 after the embedded ones. Prints the SHA-256 for
ganlib/judge/features.py.
"""

import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import ganlib  # noqa: E402
from ganlib.judge.features import (  # noqa: E402
    REFERENCE,  # noqa: E402
    digit_classifier,
    extract,
)


def main(folder):
    from safetensors.torch import save

    classifier, features = digit_classifier(), {}
    for split, part in (("train", slice(10_000, 20_000)), ("test", slice(None))):
        data = ganlib.load("mnist", root=folder, split=split)
        features[split] = extract(classifier, ganlib.data.as_float(data.images[part])).half()
    packed = save(features, {"extractor": classifier.sha256})
    (Path(__file__).parents[1] / "ganlib" / "assets" / REFERENCE[0]).write_bytes(packed)
    print(f"{len(packed):,} bytes, SHA-256 {hashlib.sha256(packed).hexdigest()}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
