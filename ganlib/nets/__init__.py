"""Nets for G and D. A new net is a class in a file here, with a row in `NETS`; a file is imported
when one of its nets is first used. Modules of others can be G or D too: G maps `z (N, latent_dim)`
to images, D images to one logit each; `known.py`, `foreign.py` and `trying.py` are for these.
"""

from importlib import import_module

NETS = {  # the nets that `rebuild` can build from their settings, and their files
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
