"""The interface of an app that draws with a generator, by Gradio where it is installed. The app.py
that `space.write` writes shows it.
"""

import io

import torch

from ...game.contract import evaluating
from ...machine.randomness import generator
from ...show.pictures import show
from ..card import plain
from ..sampling.drawing import Drawing

MOST = 64  # images at a time
CENTER = 1000  # so many styles are averaged for their mean
RULES = (
    "Say that these images are generated where you show them. Do not use them to deceive or to "
    "imitate a person. A generator can repeat its training images: the rights in those, and in "
    "persons that they show, go along."
)


def interface(G, encode=None):
    """Return a `gradio.Blocks` with sliders for what G draws: seed, number, class or words, and
    truncation where G has styles. The picture's file says that it is generated.

    G: what `load_generator` returns. encode: for a G that is asked in words, a function that
        returns a text as int64 `(1, L)`.

    Raises ImportError without `gradio`.
    """
    try:
        import gradio
    except ImportError:
        raise ImportError(
            "the app needs gradio: pip install gradio; index.html of an export needs nothing"
        ) from None
    config, names = G.config, list(enumerate(map(str, G.config["class_names"])))
    classes = config["input"].get("labels")
    with gradio.Blocks(title=config["name"]) as app:
        gradio.Markdown(f"# {plain(config['name'])}\n\n**{plain(config['notice'])}**")
        seed = gradio.Slider(0, 9999, value=0, step=1, label="seed")
        count = gradio.Slider(1, MOST, value=16, step=1, label="images")
        inputs, takes = [seed, count], []
        if classes:
            choices = [("each in turn", -1), *((name, i) for i, name in names)]
            if len(names) != classes:
                choices[1:] = [(str(i), i) for i in range(classes)]
            inputs.append(gradio.Dropdown(choices, value=-1, label="class"))
            takes.append("label")
        if encode is not None:
            inputs.append(gradio.Textbox(names[-1][1], label="words"))
            takes.append("words")
        if hasattr(G, "styles"):
            label = "truncation: 1 is as trained, less has fewer failures and less variety"
            inputs.append(gradio.Slider(0, 1, value=1, step=0.05, label=label))
            takes.append("truncation")

        def draw(seed, count, *others):
            others, labels = dict(zip(takes, others, strict=True)), None
            seed, count = int(seed), max(1, min(MOST, int(count)))
            if others.get("label", -1) not in (-1, None):
                labels = int(others["label"])
            try:
                if encode is not None:
                    labels = encode(others["words"]).expand(count, -1)
                images = _images(G, seed, count, labels, others.get("truncation", 1))
            except ValueError as error:  # an unknown word, say
                raise gradio.Error(str(error)) from error
            return _file(images)

        button = gradio.Button("Draw")
        picture = gradio.Image(type="pil", format="png", label="drawn by a GAN")
        gradio.Markdown(f"{RULES} Licence: {plain(config['license'])}.")
        button.click(draw, inputs, picture)
        app.load(draw, inputs, picture)
    return app


def _images(G, seed, count, labels, truncation):
    """Return images `(count, C, H, W)`, whose styles are only `truncation` as far from the mean of
    all styles of their class or sentence.
    """
    drawing = Drawing(G, count, labels, seed)
    if truncation == 1:
        return torch.cat([images for images, _ in drawing.batches()])
    asked, draws = drawing.labels(0, count), generator("cpu", 0, 0, "styles")
    z = torch.randn(CENTER, G.latent_dim, generator=draws, dtype=drawing.dtype)

    def center(label=None):
        return G.styles(z, None if label is None else label.expand(CENTER, *label.shape)).mean(0)

    with torch.no_grad(), evaluating(G):
        w = G.styles(drawing.noise(0)[:count], asked)
        if asked is None:
            centers = center()
        else:
            kinds, which = asked.unique(dim=0, return_inverse=True)
            centers = torch.stack([center(kind) for kind in kinds])[which]
        return G.draw([torch.lerp(centers.expand_as(w), w, float(truncation))] * G.depth_of)


def _file(images):
    """Return a grid of images as a Pillow image that was read from a PNG file, so that it has the
    file's metadata.
    """
    from PIL import Image

    scale = max(2, round(112 / images.shape[-1]))
    return Image.open(io.BytesIO(show(images, scale=scale, generated=True).data))
