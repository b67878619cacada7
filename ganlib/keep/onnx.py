"""ONNX: a generator as a file for other libraries, compared with torch before it is handed out."""

import torch

from .page import example

PARITY = 1e-4  # how far ONNX may be from torch, of a range of -1 to 1


def onnx_file(G):
    """Return (the bytes of an ONNX file of `G` or None, what to say of it).

    Raises RuntimeError where the file draws something else than G.
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
            made = torch.onnx.export(
                G, inputs, dynamo=True, verbose=False, input_names=names[: len(inputs)], output_names=["images"],
                dynamic_shapes=tuple({0: batch} for _ in inputs))  # fmt: skip
    except Exception as error:  # torch's exporter, onnx and onnxscript have to fit each other
        return None, f"none: torch could not make it ({type(error).__name__}: {str(error).splitlines()[0][:160]})"
    finally:
        log.setLevel(level)
    packed = io.BytesIO()
    made.save(packed)
    apart, judge = _apart(G, packed.getvalue())
    if not apart <= PARITY:
        raise RuntimeError(f"the ONNX file draws something else: {apart:.2g} from torch's images by {judge}, at most "
                           f"{PARITY} is expected")  # fmt: skip
    return packed.getvalue(), f"generator.onnx, at most {apart:.1e} from torch's images of 5 inputs ({judge})"


@torch.no_grad()
def _apart(G, content):
    inputs = example(G, 5)
    given = {name: x.numpy() for name, x in zip(("z", "labels"), inputs, strict=False)}
    try:
        import onnxruntime

        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        (found,), judge = session.run(None, given), "onnxruntime"
    except ImportError:
        import onnx
        from onnx.reference import ReferenceEvaluator

        (found,), judge = ReferenceEvaluator(onnx.load_from_string(content)).run(None, given), "onnx's reference"
    return (torch.from_numpy(found) - G(*inputs)).abs().max().item(), judge
