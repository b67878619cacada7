"""The model card of an exported generator: recipe, data, metrics and their conditions, seed and
licence. `export` writes it as README.md.
"""

import html
import json
import re

from ..judge.figures import FIGURES
from ..machine.progress import readable

MARKS = re.compile(r"([\\`*_\[\]{}#~|$!])")  # what Markdown and GitHub's tables give a meaning
# words that YAML reads as something else than a text
WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def plain(text):
    """Return a text, such as a name of the user's, so that Markdown and HTML show it as it is, in
    one line: it cannot begin a tag, a link, a heading, a list, a table or a line.
    """
    text = html.escape(_line(text), quote=False)
    text = MARKS.sub(r"\\\1", text).replace("://", "&#58;//").replace("www.", "www&#46;")
    text = text.replace("@", "&#64;")
    return re.sub(r"^([-+=]|\d+(?=[.)]))", _code, text)  # what begins a list or an underline


def _code(match):
    return "".join(f"&#{ord(character)};" for character in match[0])


def _line(text):
    return " ".join(readable(text).split()) or "(no name)"


def yaml(text):
    """Return a text as a YAML scalar: bare where it is a plain word, else in quotation marks."""
    text = _line(text)
    if re.fullmatch(r"[a-z][a-z0-9.-]*", text) and text not in WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)


def card(config, metrics, history, files):
    """Return the model card as text: YAML that the Hugging Face Hub reads, then prose.

    config: the content of config.json.
    metrics: what `evaluate` returned, or {} for none; if None, the last evaluation in `history` is
        shown.
    files: the names of the exported files.

    Names of the user's (of the generator, the data, its classes, the licence) are written so that
    they are shown as they are: none can add front matter, HTML or Markdown of its own.
    """
    last = next((row for row in reversed(history) if FIGURES.keys() & row.keys()), {})
    values = last if metrics is None else metrics
    floors = values.get(
        "floors", {name: values.get(figure.line) for name, figure in FIGURES.items() if figure.line}
    )
    rows = [
        f"| {name} | {values[name]:.4g} | "
        f"{'-' if floors.get(name) is None else format(floors[name], '.4g')} |"
        for name in FIGURES
        if name in values
    ]
    if rows and metrics:
        sha = f" (SHA-256 {values['sha256'][:12]})" if values.get("sha256") else ""
        conditions = (
            f"{values['n_fake']:,} fakes ({values['weights']} weights, step {values['step']:,}) "
            f"and {values['n_real']:,} real images of "
            f"{plain(values['reference'])}; features: {plain(values['extractor'])}{sha}."
        )
        if left := values.get("missing"):
            conditions += f" Left out: {'; '.join(f'{name}: {why}' for name, why in left.items())}."
    elif rows:
        conditions = (
            f"At step {values['step']:,} of the run, by `evaluate_every`: 2,000 fakes or less."
        )
    table = "\n".join(
        [
            "| figure | this generator | real images in its place |",
            "|---|---|---|",
            *rows,
            "",
            conditions,
        ]
        if rows
        else ["Not evaluated. `ganlib.evaluate` tells how good it is."]
    )
    trained = "\n".join(
        f"- {plain(name.replace('_', ' '))}: {plain(value)}"
        for name, value in config["trained_on"].items()
        if value not in (None, False)
    )
    classes = (
        f"\n- classes: {', '.join(map(plain, config['class_names']))}"
        if config["class_names"]
        else ""
    )
    settings = ", ".join(
        f"{key}={plain(value)}" for key, value in config["generator"].items() if key != "net"
    )
    pictures = config["input"].get("pictures")
    argument = ", labels" if config["input"]["labels"] else ""
    labels = f"labels = torch.arange(64) % {config['input']['labels']}\n" if argument else ""
    use = f"z = torch.randn(64, G.latent_dim)\n{labels}images = G(z{argument})"
    page = "which draws in the browser"
    if pictures and config["generator"]["net"] == "EnlargingGenerator":
        use = f"small = torch.zeros(1, {pictures[0]}, 20, 30)  # in [-1, 1], of any size\n"
        use += "images = G.enlarge(small)"
    elif pictures:
        use = f"photos = torch.rand(64, *{tuple(pictures)}) * 2 - 1  # yours, in [-1, 1]\n"
        use += "images = G(photos)"
    shown = 'ganlib.show(images, generated=True).save("samples.png")'
    if len(config.get("output", {}).get("images", ())) == 4:
        shown = 'ganlib.games.clips.film(images[:8], generated=True).save("clips.gif")'
    if (words := config["input"].get("words")) and config["class_names"]:
        a_sentence = " ".join(config["class_names"][-words:])
        use = "from ganlib.games import words\n"
        use += f"said = words.encode({[a_sentence]!r} * 64, G.config['class_names'], G.length)\n"
        use += "images = G(torch.randn(64, G.latent_dim), said)"
        classes, page = classes.replace("classes:", "words:"), "which draws what you type there"
    if pictures:
        page = "which answers to what you draw or drop there, in the browser"
    by_hand = f"Or open `index.html`, {page}. " * ("index.html" in files)
    length = f"{config['steps']:,} steps, {config['images_seen']:,} images seen"
    return f"""---
license: {yaml(config["license"])}
library_name: ganlib
tags: [gan, image-generation, synthetic-images]
---

# {plain(config["name"])}

![64 samples](samples.png)

**{config["notice"]}** Say so where you show
them; do not use them to deceive or to imitate a person.

## Use

```python
import torch, ganlib
G = ganlib.load_generator(".")
{use}
{shown}
```

{by_hand}Files: {", ".join(files)}.

## Training

- generator: {config["generator"]["net"]}({settings}); {config["weights"]}
{trained}{classes}
- {length}, seed {config["seed"]}, {config["precision"]}
- {config["library"]}
- ONNX: {plain(config["onnx"])}

## Figures

{table}

## Licence and data

Licence: {plain(config["license"])}. A generator can repeat its training images, the more so the
fewer there were: the rights in those images, and in persons that they show, go along.
"""
