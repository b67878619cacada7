"""The options of two commands, convert and sample, for the parser of the command line."""

from ..data.decoding import FITS


def convert(add):
    """Add the options of convert to its parser `add`."""
    add.add_argument(
        "source",
        nargs="+",
        help='a folder, .zip or .tar of images, or tars of WebDataset, "train-{0000..0146}.tar"',
    )
    add.add_argument("folder", help="where the shards go")
    add.add_argument("--size", type=int, required=True, help="pixels: 64, say")
    add.add_argument("--fit", default="crop", choices=FITS, help="how they become squares")
    add.add_argument(
        "--channels", type=int, choices=[1, 3], help="grey if all are, else in colour, by default"
    )
    add.add_argument("--background", help="under transparent pixels; chosen by default")
    add.add_argument("--split", default="train", help="of the folders train, test, ...; or all")


def sample(add):
    """Add the options of sample to its parser `add`."""
    add.add_argument(
        "folder",
        metavar="RUN",
        help="the run's folder, that of an exported generator, or its USER/NAME on the Hub",
    )
    add.add_argument("--n", type=int, default=64, help="how many images")
    add.add_argument(
        "--label", type=int, help="the class to draw, of a conditional run; each in turn by default"
    )
    strength(add)
    add.add_argument("--say", metavar="TEXT", help='of a run of words: what to draw, "forty two"')
    add.add_argument("--seed", type=int, help="decides the noise; the run's own by default")
    add.add_argument(
        "--out",
        default="grid.png",
        help="grid.png; images.npy, uint8 (N, C, H, W); images.tar, as WebDataset; or a folder, as "
        "StyleGAN's tools: labels go along, and train --data reads the latter two",
    )
    add.add_argument(
        "--precision",
        default="float32",
        help="float32, bf16, or fast: bf16 where the CPU has units for it",
    )
    add.add_argument("--device", help="cuda, mps or cpu; the fastest there is by default")
    add.add_argument("--revision", metavar="COMMIT", help="of a USER/NAME on the Hub")


def strength(add):
    """Add the option --strength to the parser `add`."""
    add.add_argument(
        "--strength",
        type=float,
        help="of a run of the recipe pictures: how far noise is drawn to its training images, 0 to "
        "1: more of them is covered, and more fakes are copies; as in the run by default",
    )
