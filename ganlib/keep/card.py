"""The model card of an exported generator: recipe, data, metrics and their conditions, seed and
licence. `export` writes it as README.md.
"""

from ..judge.figures import FIGURES, MAIN


def card(config, metrics, history, files):
    """Return the model card as text: YAML that the Hugging Face Hub reads, then prose.

    config: the content of config.json.
    metrics: what `evaluate` returned, or None: then the last evaluation in `history` is shown.
    files: the names of the exported files.
    """
    values = metrics or next((row for row in reversed(history) if MAIN in row), {})
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
            f"and {values['n_real']:,} real images of {values['reference']}; features: "
            f"{values['extractor']}{sha}."
        )
    elif rows:
        conditions = (
            f"At step {values['step']:,} of the run, by `evaluate_every`: up to 2,000 fakes."
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
        f"- {name.replace('_', ' ')}: {value}"
        for name, value in config["trained_on"].items()
        if value not in (None, False)
    )
    classes = (
        f"\n- classes: {', '.join(map(str, config['class_names']))}"
        if config["class_names"]
        else ""
    )
    settings = ", ".join(
        f"{key}={value}" for key, value in config["generator"].items() if key != "net"
    )
    argument = ", labels" if config["input"]["labels"] else ""
    labels = f"labels = torch.arange(64) % {config['input']['labels']}\n" if argument else ""
    length = f"{config['steps']:,} steps, {config['images_seen']:,} images seen"
    return f"""---
license: {config["license"]}
library_name: ganlib
tags: [gan, image-generation, synthetic-images]
---

# {config["name"]}

![64 samples](samples.png)

**{config["notice"]}** Say so where you show
them; do not use them to deceive or to imitate a person.

## Use

```python
import torch, ganlib
G = ganlib.load_generator(".")
z = torch.randn(64, G.latent_dim)
{labels}ganlib.show(G(z{argument}), generated=True).save("samples.png")
```

Or open `index.html`, which draws in the browser. Files: {", ".join(files)}.

## Training

- generator: {config["generator"]["net"]}({settings}); {config["weights"]}
{trained}{classes}
- {length}, seed {config["seed"]}, {config["precision"]}
- {config["library"]}
- ONNX: {config["onnx"]}

## Figures

{table}

## Licence and data

Licence: {config["license"]}. A generator can repeat its training images, the more so the
fewer there were: the rights in those images, and in persons that they show, go along.
"""
