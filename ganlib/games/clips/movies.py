"""Clips as an MP4, by ffmpeg, which Colab has."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from ...machine.files import replace
from ...show.pictures import GENERATED, mosaic, pillow


def movie(clips, path, columns=8, scale=4, milliseconds=120, times=5):
    """Write clips `(N, C, T, H, W)` in [-1, 1], side by side, as an MP4 (H.264) to `path`.

    Each frame is shown for so many `milliseconds`, all of them so many `times` over, since a player
    need not repeat a film. The file says that it is generated if a GAN made the clips. Raises
    ValueError for another name than .mp4, RuntimeError where ffmpeg is missing or fails.
    """
    path = Path(path).expanduser()
    if path.suffix != ".mp4":
        raise ValueError(
            f"{str(path)!r} was given for a film; a name that ends in .mp4 is expected"
        )
    if shutil.which("ffmpeg") is None:
        raise RuntimeError(
            "an MP4 is written by ffmpeg, which is not installed here (apt install ffmpeg, brew "
            "install ffmpeg); a GIF needs nothing: give a name that ends in .gif"
        )
    frames = [pillow(mosaic(frame, columns, gap=1), scale) for frame in clips.unbind(2)]
    frames = [frame.convert("RGB") for frame in frames]
    width, height = frames[0].size
    given = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
    given += ["-framerate", f"{1000 / milliseconds:g}", "-i", "-"]
    even = "pad=ceil(iw/2)*2:ceil(ih/2)*2:0:0:white"  # as H.264 demands
    how = ["-an", "-vf", even, "-c:v", "libx264", "-crf", "16", "-pix_fmt", "yuv420p"]
    how += ["-movflags", "+faststart"]
    if getattr(clips, "generated", False):
        how += ["-metadata", f"comment={GENERATED}"]
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "film.mp4")
        done = subprocess.run(
            ["ffmpeg", "-v", "error", "-y", *given, *how, str(made)],
            input=b"".join(frame.tobytes() for frame in frames) * times,
            capture_output=True,
        )
        if done.returncode or not made.exists():
            said = done.stderr.decode(errors="replace").strip().splitlines() or ["nothing"]
            raise RuntimeError(f"ffmpeg could not write {path}; it said: {said[-1][:200]}")
        content = made.read_bytes()
    replace(path, lambda file: file.write(content), durable=False)
