"""The model card of an exported generator: recipe, data, figures and their conditions, seed and licence."""

from ..judge.figures import FIGURES, MAIN


def card(config, metrics, history, files):
    """The model card: YAML that the Hub reads, and prose."""
    found = metrics or next((row for row in reversed(history) if MAIN in row), {})
    floors = found.get("floors", {name: found.get(figure.line) for name, figure in FIGURES.items() if figure.line})
    rows = [f"| {name} | {found[name]:.4g} | {'-' if floors.get(name) is None else format(floors[name], '.4g')} |"
            for name in FIGURES if name in found]  # fmt: skip
    if rows and metrics:
        sha = f" (SHA-256 {found['sha256'][:12]})" if found.get("sha256") else ""
        under = (
            f"{found['n_fake']:,} fakes ({found['weights']} weights, step {found['step']:,}) and "
            f"{found['n_real']:,} real images of {found['reference']}; features: {found['extractor']}{sha}."
        )
    elif rows:
        under = f"At step {found['step']:,} of the run, by `evaluate_every`: up to 2,000 fakes."
    judged = "\n".join(["| figure | this generator | real images in its place |", "|---|---|---|", *rows, "", under]
                       if rows else ["Not evaluated. `ganlib.evaluate` tells how good it is."])  # fmt: skip
    trained = "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in config["trained_on"].items()
                        if value not in (None, False))  # fmt: skip
    classes = f"\n- classes: {', '.join(map(str, config['class_names']))}" if config["class_names"] else ""
    net = ", ".join(f"{key}={value}" for key, value in config["generator"].items() if key != "net")
    asked = ", labels" if config["input"]["labels"] else ""
    labels = f"labels = torch.arange(64) % {config['input']['labels']}\n" if asked else ""
    return f"""---
license: {config["license"]}
library_name: ganlib
tags: [gan, image-generation, synthetic-images]
---

# {config["name"]}

![64 samples](samples.png)

**{config["notice"]}** Say so where you show them; do not use them to deceive or to imitate a person.

## Use

```python
import torch, ganlib
G = ganlib.load_generator(".")
z = torch.randn(64, G.latent_dim)
{labels}ganlib.show(G(z{asked}), generated=True).save("samples.png")
```

Or open `index.html`, which draws in the browser. Files: {", ".join(files)}.

## Training

- generator: {config["generator"]["net"]}({net}); {config["weights"]}
{trained}{classes}
- {config["steps"]:,} steps, {config["images_seen"]:,} images seen, seed {config["seed"]}, {config["precision"]}
- {config["library"]}
- ONNX: {config["onnx"]}

## Figures

{judged}

## Licence and data

Licence: {config["license"]}. A generator can repeat its training images, the more so the fewer there were: the
rights in those images, and in persons that they show, go along.
"""
