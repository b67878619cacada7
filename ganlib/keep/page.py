"""Turn a generator into one HTML file that draws in the browser without a server: it holds the
weights, a list of operations, and a player that runs them.

torch.export turns G into a graph. What depends on weights alone is computed here, once; each
remaining operation must be one that the player in assets/page.html knows. To add an operation, add
it to `_translate` and to the player. The player draws each image alone, as a batch of one.
"""

import base64
import html
import json
import re
from importlib.resources import files

import torch

from ..machine.progress import readable
from ..nets.known import length_of


class NoPage(ValueError):
    """G uses an operation that the page's player does not know."""


def page(G, title, notice, class_names=(), bits=16, plain=False):
    """Return the text of the HTML page for `G`. Raises NoPage if the player does not know an
    operation of G.

    bits: 16 stores weights as float16, which changes a pixel by less than one of 256 steps; 8 and 4
        store them in blocks of `BLOCK` that share a scale, in a half and a quarter of the size.
    class_names: of a conditional G; of one that is asked in words, these, beginning with "".
    plain: whether to leave out heading and notice, for a page within another.
    """
    if len(G.shape) != 3:
        raise NoPage(f"pictures (C, H, W) are drawn, and G draws {tuple(G.shape)}")
    if (length := length_of(G)) and len(class_names) != (n := G.settings["words"]):
        raise NoPage(f"{len(class_names)} words were given, and G knows {n}: class_names=...")
    operations, weights, output = program(G)
    packed = base64.b64encode(b"".join(pack(weight, bits) for weight in weights)).decode()
    content = {
        "latent_dim": G.latent_dim,
        "fed": list(fed(G)),
        "shape": list(G.shape),
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
    }
    text = (files("ganlib") / "assets" / "page.html").read_text("utf-8")
    values = {
        "TITLE": html.escape(readable(title)),
        "NOTICE": html.escape(notice),
        "PROGRAM": json.dumps(content).replace("<", "\\u003c"),
        "WEIGHTS": packed,
    }
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
def program(G):
    """Return (operations, weights, number of the output value) of `G` for one image.

    Values are numbered: 0 is z (or the image that G takes), 1 the label, and each operation adds
    one. An operation is a dict: `op`, its name; `out`, the number of its value; `in`, the numbers
    of its inputs; `shape` of the value without the batch; `w`, `b`, numbers of weights; and further
    settings that depend on `op`.
    """
    exported = torch.export.export(G.eval(), example(G))
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
                _translate(node, constants, values, emit, weight)
            else:  # depends on weights alone, as ResizeConv2d's 4x4 weights do
                args, kwargs = (
                    torch.fx.node.map_arg(x, constants.__getitem__)
                    for x in (node.args, node.kwargs)
                )
                constants[node] = node.target(*args, **kwargs)
    (output,) = next(node for node in exported.graph.nodes if node.op == "output").args[0]
    return operations, weights, values[output]


# operations that keep all numbers of an image, and their order
SAME = {"view", "unflatten", "contiguous", "clone", "unsqueeze", "flatten", "reshape"}
SAME |= {"to", "squeeze", "dropout"}


def _translate(node, constants, values, emit, weight):
    """Emit the operation of the graph's `node`, or raise NoPage if the player has none for it.

    `constants` maps nodes that depend on weights alone to tensors, `values` the others to numbers.
    """
    name, args = str(node.target).split(".")[1].rstrip("_"), list(node.args)
    arguments = {
        a.name: (args[i] if i < len(args) else node.kwargs.get(a.name, a.default_value))
        for i, a in enumerate(node.target._schema.arguments)
    }

    def tensor(which):
        x = arguments[which]
        return None if x is None else weight(constants[x])

    def pair(which):
        x = list(arguments[which])
        if len(set(x)) != 1:
            raise NoPage(f"{name} with {which}={x}")
        return x[0]

    if name == "_assert_tensor_metadata":
        return
    if name in SAME or (name == "expand" and node.meta["val"].shape == args[0].meta["val"].shape):
        emit(node, "same", args[:1])
    elif name == "linear":
        emit(node, "linear", args[:1], w=tensor("weight"), b=tensor("bias"))
    elif name in ("conv2d", "conv_transpose2d"):
        if pair("dilation") != 1:
            raise NoPage(f"{name} with dilation={arguments['dilation']}")
        kernel = constants[arguments["weight"]].shape
        emit(
            node,
            name,
            args[:1],
            w=tensor("weight"),
            b=tensor("bias"),
            stride=pair("stride"),
            padding=pair("padding"),
            groups=arguments["groups"],
            kernel=list(kernel),
        )
    elif name == "batch_norm":
        mean, var = (constants[arguments[f"running_{which}"]] for which in ("mean", "var"))
        scale = constants[arguments["weight"]] / (var + arguments["eps"]).sqrt()
        emit(
            node,
            "affine",
            args[:1],
            w=weight(scale),
            b=weight(constants[arguments["bias"]] - mean * scale),
        )
    elif name == "rms_norm":
        if len(arguments["normalized_shape"]) != 1 or arguments["weight"] is not None:
            raise NoPage(f"{name} over more than the last axis, or with weights")
        emit(node, name, args[:1], eps=arguments["eps"])
    elif name == "upsample_bilinear2d":
        before, after = (x.meta["val"].shape[2:] for x in (args[0], node))
        times = after[0] // before[0]
        factors = arguments.get("scale_factors", ())  # used as they are, None: what the sizes say
        if (
            arguments["align_corners"]
            or list(after) != [times * size for size in before]
            or factors not in (None, [times, times])
        ):
            raise NoPage(f"{name} other than by a whole number with align_corners=False")
        emit(node, name, args[:1], times=times)
    elif name in ("relu", "tanh", "argmax", "sigmoid", "rsqrt", "square"):
        emit(node, name, args[:1])
    elif name == "softmax":
        if node.meta["val"].ndim != 2 or arguments["dim"] not in (1, -1):
            raise NoPage("softmax other than over all numbers of an image")
        emit(node, name, args[:1])
    elif name == "mean" and node.meta["val"].numel() == len(node.meta["val"]):
        emit(node, name, args[:1])
    elif name == "leaky_relu":
        emit(node, name, args[:1], slope=arguments["negative_slope"])
    elif name == "one_hot":
        emit(node, name, args[:1])
    elif name == "embedding":
        emit(node, name, [arguments["indices"]], w=tensor("weight"))
    elif name == "cat" and arguments["dim"] == 1 and all(x in values for x in args[0]):
        emit(node, name, args[0])
    elif name in ("permute", "transpose"):
        of = list(args[0].meta["val"].shape)
        dims = list(range(len(of))) if name == "transpose" else arguments["dims"]
        if name == "transpose":
            a, b = (arguments[which] % len(of) for which in ("dim0", "dim1"))
            dims[a], dims[b] = b, a
        emit(node, "permute", args[:1], dims=[d - 1 for d in dims[1:]], of=of[1:])
    elif name == "avg_pool2d":
        plain = not any(arguments["padding"]) and not arguments["divisor_override"]
        steps = list(arguments["stride"] or arguments["kernel_size"])
        if list(arguments["kernel_size"]) != [2, 2] or steps != [2, 2] or not plain:
            raise NoPage(f"{name} other than of 2 x 2 squares")
        emit(node, name, args[:1])
    elif name == "slice" and arguments["dim"] == 1 and args[0].meta["val"].ndim == 2:
        emit(node, name, args[:1], start=arguments["start"] or 0)
    elif name == "slice" and node.meta["val"].shape == args[0].meta["val"].shape:
        emit(node, "same", args[:1])
    elif name in ("add", "mul"):
        a, b = args[:2]
        shape = node.meta["val"].shape
        if (
            isinstance(b, torch.fx.Node)
            and a in values
            and b in values
            and b.meta["val"].shape == a.meta["val"].shape == shape
        ):
            emit(node, name, [a, b])
        else:  # with weights, or of two shapes: one is broadcast
            ins, settings = _wide(a, b, shape, constants, values, weight)
            emit(node, f"{name}_wide", ins, **settings)
    else:
        raise NoPage(f"the operation {node.target} is unknown to the page")


def _wide(a, b, shape, constants, values, weight):
    """Return the inputs and settings of an elementwise operation of a value and weights, or of two
    values, one broadcast over the other: `strides` is how far each step along an axis goes in the
    first value.
    """
    if b in values and (a in constants or a.meta["val"].numel() < b.meta["val"].numel()):
        a, b = b, a
    if a in values and b in values and a.meta["val"].shape == shape:
        ins, settings, small = [b, a], {"w": None}, b
    elif (isinstance(b, (int, float)) or b in constants) and a in values:
        weights = torch.as_tensor(constants.get(b, b)).expand(shape)[0].contiguous()
        ins, settings, small = [a], {"w": weight(weights)}, a
    else:
        raise NoPage("an operation of two images of different shapes")
    value = torch.empty(small.meta["val"].shape, device="meta")  # in the player's order of numbers
    return ins, settings | {"strides": list(value.expand(shape)[0].stride())}
