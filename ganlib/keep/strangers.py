"""Check files that a stranger may have written, before memory is spent on sizes that they claim."""

import io
import re
import reprlib
import zipfile

import torch

SPARE = 2**20  # bytes that the parts of a checkpoint may have together beyond the file's size


def packed_honestly(raw):
    """Raise ValueError unless the bytes `raw` are a zip archive, as torch.save writes, whose parts
    unpack to no more than its size.
    """
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        claimed = sum(info.file_size for info in archive.infolist())
        if claimed > len(raw) + SPARE:
            raise ValueError(f"{len(raw):,} bytes claim to hold {claimed:,}")
        for name in archive.namelist():
            # torch.load would make one of any length, and a checkpoint of ganlib has none
            if name.endswith("data.pkl") and re.search(
                rb"c(__builtin__|builtins)\nbytearray\n", archive.read(name)
            ):
                raise ValueError("it holds a bytearray")


def whole(content, size):
    """Raise ValueError unless the `content` of a checkpoint of `size` bytes has all parts that a
    run needs, each of its type, and no value that would take more memory than the file.
    """
    _no_more_than_stored(content, size)
    _has("it", content, {"config": dict, "machine": dict, "state": dict})
    for name in ("G", "D"):
        if name in content["state"] and not isinstance(content["config"].get(name), (dict, str)):
            raise ValueError(f"config does not say what {name} is")
    if any(isinstance(value, torch.Tensor) for value in _within(content["config"], size)):
        raise ValueError("config holds a tensor")
    state, machine = content["state"], content["machine"]
    _has("machine", machine, {"device": str, "torch": str, "processes": int, "threads": int})
    _has("machine", {"usual": 1} | machine, {"precision": str, "usual": int})
    threads = machine["threads"], machine.get("usual", 1)
    if not 1 <= min(threads) <= max(threads) <= 2**16 or machine["precision"] not in PRECISIONS:
        raise ValueError(f"machine = {reprlib.repr(machine)}")
    _has("state", state, COUNTERS)
    if "gans" in state:
        _has("state", state, {"gans": dict})
    for gan in state["gans"].values() if "gans" in state else [state]:
        if not isinstance(gan, dict):
            raise ValueError(f"a GAN is a {type(gan).__name__}")
        _has("state", gan, COUNTERS | PARTS)
        _has("state.G_ema", gan.get("G_ema", {}), {})
        for name in ("opt_G", "opt_D"):
            groups = gan[name].get("param_groups")
            if not isinstance(groups, list) or not groups:
                raise ValueError(f"{name} has no groups of weights")
            for group in groups:
                _has(f"a group of {name}", group, {"params": list})
        rows, counts = gan.get("examples"), gan.get("label_counts")
        if rows is not None and not (isinstance(rows, torch.Tensor) and rows.ndim and len(rows)):
            raise ValueError("examples are no labels")
        if counts is not None and not (
            isinstance(counts, list) and all(type(count) is int and count >= 0 for count in counts)
        ):
            raise ValueError(f"label_counts = {reprlib.repr(counts)}")
    for row in state["history"]:
        _has("a row of the history", row, {"step": int})
    if not isinstance(state.get("trained_on"), (dict, type(None))):
        raise ValueError("trained_on is neither a dict nor None")


PRECISIONS = ("highest", "high", "medium")  # of products of matrices, torch's names
COUNTERS = {"seed": int, "step": int, "images_seen": int, "history": list, "precision": str}
PARTS = {"G": dict, "D": dict, "opt_G": dict, "opt_D": dict, "adaptive": torch.Tensor}


def _has(what, value, parts):
    if not isinstance(value, dict):
        raise ValueError(f"{what} is a {type(value).__name__}, a dict is expected")
    for name, kind in parts.items():
        if not isinstance(value.get(name), kind) or isinstance(value[name], bool):
            raise ValueError(
                f"{what} has {name} = {reprlib.repr(value.get(name))}; a {kind.__name__} is "
                "expected"
            )


def _within(value, size):
    """Yield a value and all that it holds. Raises ValueError for more than `size` values: each
    takes a byte of a file at least, so that lists hold themselves, or each other again and again.
    """
    left, count = [value], 0
    while left:
        value, count = left.pop(), count + 1
        if count > size:
            raise ValueError("values that hold each other again and again")
        yield value
        if isinstance(value, dict):
            left += value.values()
        elif isinstance(value, (list, tuple, set)):
            left += value


def _no_more_than_stored(content, size):
    """Raise ValueError for a value whose copy, or text, would take more memory than the file: a
    tensor that repeats its numbers by strides of 0, and what `_within` refuses.
    """
    for value in _within(content, size):
        if isinstance(value, torch.Tensor):
            if value.layout != torch.strided or value.is_quantized or value.is_meta:
                raise ValueError(f"a tensor of {value.layout} on {value.device}")
            if value.numel() * value.element_size() > value.untyped_storage().nbytes():
                raise ValueError(f"a tensor {tuple(value.shape)} has fewer numbers than it claims")
