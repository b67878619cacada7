"""Turn a generator into one HTML file that draws in the browser without a server: it holds the
weights, a list of operations, and a player that runs them.

torch.export turns G into a graph. What depends on weights alone is computed here, once; each
remaining operation must be one that the player in assets/page.html knows. To add an operation, add
it to `translate` in player/operations.py and to the player. The player draws each image alone, as a
batch of one; of a clip it draws a frame, see player/clips.py.
"""

import base64
import html
import json
import re
from importlib.resources import files

import torch

from ..machine.progress import readable
from ..nets.known import length_of
from .player import clips
from .player.operations import NoPage, translate


def page(G, title, notice, class_names=(), bits=16, plain=False):
    """Return the text of the HTML page for `G`. Raises NoPage if the player does not know an
    operation of G.

    bits: 16 stores weights as float16, which changes a pixel by less than one of 256 steps; 8 and 4
        store them in blocks of `BLOCK` that share a scale, in a half and a quarter of the size.
    class_names: of a conditional G; of one that is asked in words, these, beginning with "".
    plain: whether to leave out heading and notice, for a page within another.
    """
    if len(G.shape) not in (3, 4):
        raise NoPage(
            f"pictures (C, H, W) and clips (C, T, H, W) are drawn, and G draws {tuple(G.shape)}"
        )
    if (length := length_of(G)) and len(class_names) != (n := G.settings["words"]):
        raise NoPage(f"{len(class_names)} words were given, and G knows {n}: class_names=...")
    filmed = clips.content(G) if len(G.shape) == 4 else {}
    operations, weights, output = program(*clips.drawing(G) if filmed else (G, example(G)))
    packed = base64.b64encode(b"".join(pack(weight, bits) for weight in weights)).decode()
    content = {
        "latent_dim": G.latent_dim,
        "fed": list(fed(G)),
        "shape": [G.shape[0], *G.shape[-2:]],
        "classes": [] if length else list(map(readable, class_names)),
        "words": list(map(readable, class_names)) if length else [],
        "length": length,
        "say": " ".join(map(readable, class_names[-length:])) if length else "",
        "operations": operations,
        "sizes": [w.numel() for w in weights],
        "bits": bits,
        "block": BLOCK,
        "plain": plain,
        "output": output,
    } | filmed
    assets = files("ganlib") / "assets"
    values = {
        "TITLE": html.escape(readable(title)),
        "NOTICE": html.escape(notice),
        "PROGRAM": json.dumps(content).replace("<", "\\u003c"),
        "WEIGHTS": packed,
        "CLIPS": (assets / "clips.js").read_text("utf-8") if filmed else "",
    }
    text = (assets / "page.html").read_text("utf-8")
    # in one pass: a title may look like another place
    return re.sub("@@([A-Z]+)@@", lambda place: values[place[1]], text)


BLOCK = 32  # weights that share a scale


def pack(weight, bits):
    """Return a tensor as bytes: float16, or for each block of `BLOCK` numbers a float16 scale, and
    then all numbers over their scale as integers, from -127 to 127 for 8 `bits`, two to a byte and
    from -7 to 7 for 4. Raises ValueError for other bits.
    """
    if bits == 16:
        return weight.half().numpy().tobytes()
    if bits not in (8, 4):
        raise ValueError(f"bits={bits!r} was given; 16, 8 or 4 is expected")
    blocks = torch.nn.functional.pad(weight.flatten(), (0, -weight.numel() % BLOCK))
    blocks, top = blocks.view(-1, BLOCK), 127 if bits == 8 else 7
    scale = (blocks.abs().amax(1) / top).half()
    whole = (blocks / scale.float().clamp(min=1e-12)[:, None]).round().clamp(-top, top)
    whole = whole.to(torch.int8).flatten()
    if bits == 4:
        low, high = (whole + 8).view(torch.uint8).view(-1, 2).unbind(1)
        whole = low | high << 4
    return scale.numpy().tobytes() + whole.numpy().tobytes()


def example(G, n=1):
    """Return `n` example inputs for G: (z,); (z, labels) for classes; (z, sentences) for words; or
    (pictures,).
    """
    draws = torch.Generator().manual_seed(0)
    if G.latent_dim is None:
        return (2 * torch.rand(n, *fed(G), generator=draws) - 1,)
    z = torch.randn(n, G.latent_dim, generator=draws)
    if length := length_of(G):
        return z, torch.arange(1, n * length + 1).view(n, length) % G.settings["words"]
    return (z, torch.arange(n) % G.classes) if getattr(G, "classes", 0) else (z,)


def fed(G):
    """Return the shape (C, H, W) of the pictures that G takes, () if it draws from noise."""
    alone = G.alone() if hasattr(G, "alone") else G
    return () if G.latent_dim is not None else getattr(alone, "fed", G.shape)


@torch.no_grad()
def program(G, inputs):
    """Return (operations, weights, number of the output value) of `G` for one image, of a kind with
    the example `inputs`.

    Values are numbered: 0 is z (or the image that G takes), 1 the label or the time, and each
    operation adds one. An operation is a dict: `op`, its name; `out`, the number of its value;
    `in`, the numbers of its inputs; `shape` of the value without the batch; `w`, `b`, numbers of
    weights; and further settings that depend on `op`.
    """
    exported = torch.export.export(G.eval(), inputs)
    weights, operations, values = [], [], {}
    known = dict(exported.state_dict) | dict(exported.constants)
    signature, inputs = exported.graph_signature, 0
    named = (
        signature.inputs_to_parameters
        | signature.inputs_to_buffers
        | signature.inputs_to_lifted_tensor_constants
    )

    def weight(x):
        weights.append(x.detach().float().contiguous())
        return len(weights) - 1

    def emit(node, op, ins, **settings):
        number = 2 + len(operations)
        shape = list(node.meta["val"].shape[1:])
        operations.append(
            {"op": op, "out": number, "in": [values[x] for x in ins], "shape": shape, **settings}
        )
        values[node] = number

    constants = {}
    for node in exported.graph.nodes:
        if node.op == "placeholder":
            if node.name in named:
                constants[node] = known[named[node.name]]
            else:
                values[node], inputs = inputs, inputs + 1
        elif node.op == "call_function":
            varying = [x for x in node.all_input_nodes if x in values]
            if varying:
                translate(node, constants, values, emit, weight)
            else:  # depends on weights alone, as ResizeConv2d's 4x4 weights do
                args, kwargs = (
                    torch.fx.node.map_arg(x, constants.__getitem__)
                    for x in (node.args, node.kwargs)
                )
                constants[node] = node.target(*args, **kwargs)
    (output,) = next(node for node in exported.graph.nodes if node.op == "output").args[0]
    return operations, weights, values[output]
