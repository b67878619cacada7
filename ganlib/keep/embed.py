"""Show a generator in a notebook's output as a small page that draws without a kernel."""

import copy
import html

from .export import NOTICE
from .page import page


class Embedded:
    """What `embed` returns: as the value of a cell it is shown as a page within the notebook."""

    def __init__(self, text, height):
        self.text, self.height = text, height

    def _repr_html_(self):
        return (
            f'<iframe srcdoc="{html.escape(self.text)}" title="a generator that draws here" '
            f'style="width: 100%; height: {self.height}px; border: 0; background: white"></iframe>'
        )

    def __repr__(self):
        return f"<a generator as a page of {len(self.text) / 1000:,.0f} kB>"


def embed(gan, class_names=(), bits=8, height=420):
    """Return the generator of `gan` as a page within the notebook, with buttons that draw.

    The page needs no kernel and no network, and stays in the saved notebook: it works where the
    notebook's HTML is trusted (Colab, a notebook that you ran or trust, exported HTML). `sample`
    and the page draw from the same net, the average of G where there is one. `class_names` names
    the classes of a conditional G; by default they are numbered. `bits`, 16, 8 or 4, are the size
    of a weight: 8 need one byte and a third more in the notebook for each weight, and 4 half of it.
    `height` is in pixels. Raises NoPage, a ValueError, for a net that the page's player cannot
    draw.
    """
    G = copy.deepcopy(gan.net()).cpu().float().eval()
    names = class_names or [str(i) for i in range(gan.classes)]
    return Embedded(page(G, "a generator", NOTICE, names, bits, plain=True), height)
