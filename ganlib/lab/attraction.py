"""How near to its training images a G of `pictures` draws: a dial that is turned after training."""

from ..judge.evaluation import evaluate
from ..nets.pictures import attracted, draw_to

SHOWN = "frechet_distance", "precision", "recall", "coverage", "copied"


class Trade(dict):
    """The evaluation of a run at each strength, as a dict; it prints as a table."""

    def __str__(self):
        names = [name for name in SHOWN if any(name in judged for judged in self.values())]
        lines = ["  ".join(["strength", *names])]
        for strength, judged in self.items():
            cells = [f"{judged[x]:.3g}" if x in judged else "-" for x in names]
            widths = map(len, names)
            cells = [f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)]
            lines.append("  ".join([f"{strength:>8g}", *cells]))
        return "\n".join(lines)


def trade(gan, data, strengths=(0.0, 0.1, 0.15, 0.3, 0.5), **settings):
    """Evaluate a run at each of `strengths`; return a `Trade`, `{strength: Evaluation}`. G's own
    strength stays as it was.

    data and settings are those of `evaluate`; nothing is printed unless quiet=False. Raises
    ValueError for what `draw_to` cannot take.
    """
    G = attracted(gan)[0]
    before = G.settings.get("strength", G.attraction.usual)
    try:
        found = {}
        for strength in strengths:
            draw_to(gan, strength)
            found[strength] = evaluate(gan, data, **{"quiet": True} | settings)
        return Trade(found)
    finally:
        draw_to(gan, before)
