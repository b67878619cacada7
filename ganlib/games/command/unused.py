"""Refuse options that the game or command at hand does not use, with a sentence: what the user
asked for would not happen. A new game has a row in `OF_TRAIN` and `OF_EVALUATE`.
"""

from ...data.loading import LOADERS, is_own
from ...data.sources import looks_like_path
from ..printed import DRAWN

NOISE = ("recipe", "augment", "conditional", "plan")  # of a G that draws from noise
DRAWN_BY = (*NOISE[1:], "to", "size", "fallback", "objective", "scale", "fit")
OF_TRAIN = {  # options of `train`, by game, that it has no use for; translations: "to"
    None: ("objective", "scale"),
    "enlarge": (*NOISE, "to", "fit"),
    "words": (*DRAWN_BY, "recipe"),
    "clips": DRAWN_BY,
    "flows": (*DRAWN_BY, "recipe"),
    "to": (*NOISE, "scale", "fallback"),
}
SET = ("data", "size", "fit", "extractor")
OF_EVALUATE = {  # options of `evaluate`, by kind of run, and why
    "words": (SET, "pictures of words are judged in one way"),
    "clips": (SET, "clips are judged in one way"),
    "enlarge": (("fit", "device"), "enlarged pictures are judged as they are, on the CPU"),
    "to": (
        (*SET, "n", "device"),
        "a translation is judged on the images that were held out from it, on the CPU",
    ),
}


def refuse(options, parser):
    """Raise ValueError if an option of `train` was given that changes nothing. `parser`, of the
    command, knows what each is where it was not given.
    """
    changed = {name for name, value in vars(options).items() if value != parser.get_default(name)}
    if options.command != "train":
        return
    game = options.game if options.game in OF_TRAIN else None if options.game is None else "to"
    if game is None and options.to is not None:
        return  # `train` says what is missing
    for name in OF_TRAIN[game]:
        if name in changed:
            raise ValueError(
                f"--{name} was given with --game {options.game}, which has no use for it"
                if options.game
                else f"--{name} was given without --game, and belongs to another game than that of "
                "a G that draws from noise"
            )
    sets = [name for name in (options.data, options.to) if name is not None]
    named = not any(is_own(name) or looks_like_path(name) for name in sets)
    if named and "fit" in changed and all(name in LOADERS or name in DRAWN for name in sets):
        raise ValueError(
            f"--fit {options.fit} was given, and {' and '.join(sets)} are squares already; leave "
            "it out"
        )
    if game == "to" and "size" in changed and all(name in LOADERS for name in sets):
        raise ValueError(f"--size was given, and {' and '.join(sets)} have sizes of their own")
    if {"steps", "until"} <= changed:
        raise ValueError(
            f"--steps {options.steps} and --until {options.until} were given; --until stands in "
            "place of --steps: give one of them"
        )


def refuse_judging(options, kind):
    """Raise ValueError if an option of `evaluate` was given that a run of this kind has no use
    for.
    """
    names, why = OF_EVALUATE[kind]
    for name in names:
        value = getattr(options, name)
        if value is not None and (name, value) != ("device", "cpu"):
            raise ValueError(f"--{name} was given, and {why}; leave it out")


def in_its_own_way(options, command):
    """Return the command of another game; raise ValueError for --strength, and for options of
    `sample` that it does not take.
    """
    if getattr(options, "strength", None) is not None:
        raise ValueError(
            f"--strength was given, and the run in {options.folder} is not one of the recipe "
            "pictures, whose G takes it"
        )
    for name, unset in {
        **dict.fromkeys(("seed", "revision", "device")),
        "precision": "float32",
    }.items():
        if options.command == "sample" and getattr(options, name) != unset:
            raise ValueError(
                f"--{name} was given, and the run in {options.folder} is not one of a G that draws "
                "from noise alone, which takes it"
            )
    return command
