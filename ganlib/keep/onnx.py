"""Export a generator as an ONNX file for other libraries, after a comparison with torch."""

import torch

from .page import example

PARITY = 1e-4  # the largest difference allowed between ONNX and torch, of pixels in -1 .. 1


def onnx_file(G):
    """Return (the bytes of an ONNX file of `G`, or None; a message about it).

    Raises RuntimeError if the file draws other images than G.
    """
    import io
    import logging
    import warnings

    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        return None, "none: pip install onnx onnxscript, and export again"
    inputs, names = example(G, 2), ["z", "labels"]
    batch = torch.export.Dim("batch", min=1, max=100_000)
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                G,
                inputs,
                dynamo=True,
                verbose=False,
                input_names=names[: len(inputs)],
                output_names=["images"],
                dynamic_shapes=tuple({0: batch} for _ in inputs),
            )
    except Exception as error:  # of any kind, where the versions of torch and onnx do not fit
        return None, (
            f"none: torch could not make it ({type(error).__name__}: "
            f"{str(error).splitlines()[0][:160]})"
        )
    finally:
        log.setLevel(level)
    packed = io.BytesIO()
    program.save(packed)
    try:
        gap, runtime = _apart(G, packed.getvalue())
    except Exception as error:  # of any kind, a runtime's own
        return None, f"none: the file cannot be run ({str(error).splitlines()[0][:160]})"
    if not gap <= PARITY:
        raise RuntimeError(
            f"the ONNX file draws something else: {gap:.2g} from torch's images by {runtime}, at "
            f"most {PARITY} is expected"
        )
    return (
        packed.getvalue(),
        f"generator.onnx, at most {gap:.1e} from torch's images of 5 inputs ({runtime})",
    )


@torch.no_grad()
def _apart(G, content):
    """Return how far ONNX's images are from torch's, at most, and what ran the ONNX file."""
    inputs = example(G, 5)
    feeds = {name: x.numpy() for name, x in zip(("z", "labels"), inputs, strict=False)}
    try:
        import onnxruntime

        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        (images,), runtime = session.run(None, feeds), "onnxruntime"
    except ImportError:
        import onnx
        from onnx.reference import ReferenceEvaluator

        (images,), runtime = (
            ReferenceEvaluator(onnx.load_from_string(content)).run(None, feeds),
            "onnx's reference",
        )
    return (torch.from_numpy(images) - G(*inputs)).abs().max().item(), runtime
