"""Labels: what a conditional net is asked for, and what is said where that does not fit."""

import torch


def fitting(labels, n, G, device):
    """Return labels int64 `(n,)` for G: those given, one int for all, or each class in turn; None for a G without."""
    classes = getattr(G, "classes", 0)
    if labels is None:
        return torch.arange(n, device=device) % classes if classes else None
    if not classes and hasattr(G, "settings"):
        raise ValueError("labels were given, and this G takes none; build it with classes=...")
    labels, top = torch.as_tensor(labels, device=device), classes or 2**63
    labels = labels.expand(n) if labels.ndim == 0 else labels
    if labels.dtype != torch.int64 or labels.shape != (n,) or not 0 <= labels.min() <= labels.max() < top:
        raise ValueError(f"labels of {labels.dtype} {tuple(labels.shape)} from {labels.min()} to {labels.max()} were "
                         f"given; int64 ({n},) from 0 to {top - 1} are expected")  # fmt: skip
    return labels


def require(data, G, D):
    """Raise ValueError where a net is conditional and the labels of `data` are missing or out of range."""
    for player, classes in (("G", getattr(G, "classes", 0)), ("D", getattr(D, "settings", {}).get("classes", 0))):
        if classes and (data.labels is None or data.labels.max() >= classes or data.labels.min() < 0):
            found = "has none" if data.labels is None else f"has {data.labels.min()} to {data.labels.max()}"
            raise ValueError(f"{player} is conditional on {classes} classes, labels from 0 to {classes - 1} are "
                             f"expected, and {data.name!r} {found}")  # fmt: skip


def counts(data, G):
    """How many images of each class `data` holds, a list; None for a G without labels."""
    return torch.bincount(data.labels.cpu(), minlength=G.classes).tolist() if getattr(G, "classes", 0) else None


def shared_out(counts, n, device):
    """Return `n` labels, each class as often as its share of `counts` says; None where there are no counts."""
    if not counts:
        return None
    shares = torch.tensor(counts).double().cumsum(0)
    return torch.searchsorted(shares / shares[-1], (torch.arange(n).double() + 0.5) / n).to(device)
