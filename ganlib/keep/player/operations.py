"""Translate the nodes of a graph into the operations of the page's player (assets/page.html)."""

import math

import torch


class NoPage(ValueError):
    """G uses an operation that the page's player does not know."""


# operations that keep all numbers of an image, and their order
SAME = {"view", "unflatten", "contiguous", "clone", "unsqueeze", "flatten", "reshape"}
SAME |= {"to", "squeeze", "dropout", "alias"}
MAYBE = {"expand", "repeat_interleave"}  # these do where the shape stays


LINES = {  # with one number: the value times, and plus
    "add": lambda by: (1, by),
    "sub": lambda by: (1, -by),
    "mul": lambda by: (by, 0),
    "div": lambda by: (1 / by, 0),
}


def translate(node, constants, values, emit, weight):
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

    def first(x, which):
        """Whether parts along this axis lie one after the other: those before it have size 1."""
        shape = x.meta["val"].shape
        return math.prod(shape[: arguments[which] % len(shape)]) == 1 <= arguments[which]

    if name == "_assert_tensor_metadata":
        return
    if name in SAME or (name in MAYBE and node.meta["val"].shape == args[0].meta["val"].shape):
        emit(node, "same", args[:1])
    elif name == "linear":
        if math.prod(node.meta["val"].shape[:-1]) != 1:
            raise NoPage(f"{name} of several rows of numbers of an image")
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
    elif name in ("relu", "tanh", "argmax", "sigmoid", "rsqrt", "square", "sin", "cos"):
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
    elif name == "cat" and all(x in values for x in args[0]) and first(args[0][0], "dim"):
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
    elif name == "slice" and arguments["step"] == 1 and first(args[0], "dim"):
        of = args[0].meta["val"].shape[arguments["dim"] :]
        start = range(of[0])[arguments["start"] or 0 :].start
        emit(node, name, args[:1], start=start * math.prod(of[1:]))
    elif name == "slice" and node.meta["val"].shape == args[0].meta["val"].shape:
        emit(node, "same", args[:1])
    elif name == "affine_grid_generator" and not arguments["align_corners"]:
        emit(node, "affine_grid", args[:1])
    elif name == "grid_sampler" and args[0] in values and args[1] in values:
        if arguments["interpolation_mode"] or arguments["padding_mode"]:
            raise NoPage(f"{name} other than between pixels, with zeros around them")
        if arguments["align_corners"] or node.meta["val"].ndim != 4:
            raise NoPage(f"{name} other than of pictures with align_corners=False")
        emit(node, name, args[:2])
    elif name in LINES and isinstance(args[1], (int, float)) and arguments.get("alpha", 1) == 1:
        times, plus = LINES[name](args[1])
        emit(node, "line", args[:1], times=times, plus=plus)
    elif name in ("add", "mul") and arguments.get("alpha", 1) == 1:
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
