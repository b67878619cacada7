"""`embed`: show a generator in a notebook's output as a small page that draws without a kernel."""

import copy
import html

from torch import nn

from ..nets.known import classes_of, length_of
from .export import NOTICE
from .page import page

WITHOUT_FRAME = (
    "<p>Here sits a page that draws. Jupyter shows it when you run this cell, or choose "
    "<i>File &gt; Trust Notebook</i>.</p>"
)


class Embedded:
    """What `embed` returns: as the value of a cell it is shown as a page within the notebook."""

    def __init__(self, text, height):
        self.text, self.height = text, height

    def _repr_html_(self):
        # Jupyter drops the frame of a notebook that it does not trust; then what lay below it shows
        return (
            f'<div style="max-height: {self.height}px; overflow: hidden">'
            f'<iframe srcdoc="{html.escape(self.text)}" title="a generator that draws here" '
            f'style="width: 100%; height: {self.height}px; border: 0; background: white; '
            f'display: block"></iframe>{WITHOUT_FRAME}</div>'
        )

    def __repr__(self):
        return f"<a generator as a page of {len(self.text) / 1000:,.0f} kB>"


def embed(gan, class_names=(), bits=8, height=420):
    """Return a generator, of a `GAN` or by itself, as a page within the notebook, with buttons.

    The page needs no kernel and no network, and stays in the saved notebook: it works where the
    notebook's HTML is trusted (Colab, a notebook that you ran or trust, exported HTML). Of a GAN it
    draws from the net from which `sample` does, the average of G where there is one. `class_names`
    names the classes of a conditional G; by default those that it was exported with, or numbers.
    `bits`, 16, 8 or 4, are the size of a weight: 8 need one byte and a third more in the notebook
    for each weight, and 4 half of it. `height` is in pixels. Raises NoPage, a ValueError, for a net
    that the page's player cannot draw.
    """
    net = gan if isinstance(gan, nn.Module) else gan.net()
    G = copy.deepcopy(net).cpu().float().eval()
    numbers = [str(i) for i in range(classes_of(G))]
    names = class_names or getattr(G, "config", {}).get("class_names") or numbers
    if length_of(G) and not names:  # its words
        names = (getattr(gan, "trained_on", None) or {}).get("classes") or ()
    return Embedded(page(G, "a generator", NOTICE, names, bits, plain=True), height)
