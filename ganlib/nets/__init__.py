"""Nets for G and D. Any other module will do as G if it maps `z (N, latent_dim)` to images, and as
D if it maps images to logits, one for each; `known.py`, `foreign.py` and `trying.py` take it as it
is. Each file is imported when one of its nets is first used.
"""

from importlib import import_module

NETS = {  # each net that `rebuild` can build from its settings, and its file
    "MLPGenerator": "mlp",
    "MLPDiscriminator": "mlp",
    "ConvGenerator": "dcgan",
    "ConvDiscriminator": "dcgan",
    "ResidualGenerator": "r3gan",
    "ResidualDiscriminator": "r3gan",
    "CompactGenerator": "compact",
    "CompactDiscriminator": "compact",
    "PictureGenerator": "pictures",
    "PictureDiscriminator": "pictures",
    "StyleGenerator": "style",
    "EnlargingGenerator": "fed.enlarging",
    "FlowGenerator": "fed.flow",
    "TranslationGenerator": "fed.translation",
    "PatchDiscriminator": "fed.translation",
    "ClipDiscriminator": "fed.clips",
    "FramesGenerator": "fed.clips",
    "MovedGenerator": "fed.clips",
    "PathGenerator": "fed.clips",
    "WordsGenerator": "fed.words",
    "WordsDiscriminator": "fed.words",
    "WordsStyleGenerator": "fed.words",
    "WordsPictureDiscriminator": "fed.words",
}
LAYERS = {"Dropout": "mlp", "Verdict": "layers", "scale": "layers", "ResizeConv2d": "compact"}


def __getattr__(name):
    file = (NETS | LAYERS).get(name)
    if file is None:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}; {', '.join(NETS | LAYERS)} are there"
        )
    return getattr(import_module(f".{file}", __name__), name)


def __dir__():
    return sorted(NETS | LAYERS)
