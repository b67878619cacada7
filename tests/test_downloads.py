"""Downloads from a server on this machine that misbehaves in each way that servers do."""

import gzip
import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from torchvision import datasets

import ganlib
from ganlib.data import downloads


def idx(array):
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return b"\0\0\x08" + bytes([array.ndim]) + sizes + array.numpy().tobytes()


IMAGES = torch.arange(5 * 28 * 28).view(5, 28, 28).remainder(251).byte()
LABELS = torch.tensor([3, 1, 4, 1, 5], dtype=torch.uint8)
FILES = {
    "train-images-idx3-ubyte.gz": gzip.compress(idx(IMAGES)),
    "train-labels-idx1-ubyte.gz": gzip.compress(idx(LABELS)),
    "t10k-images-idx3-ubyte.gz": gzip.compress(idx(IMAGES)),
    "t10k-labels-idx1-ubyte.gz": gzip.compress(idx(LABELS)),
}


class Handler(BaseHTTPRequestHandler):
    """/good/FILE serves it; /busy/ recovers; the others misbehave.

    These are /403/, /503/, /html/, /truncated/, /broken-off/ and /silent/.
    """

    def do_GET(self):
        way, name = self.path.strip("/").split("/")
        self.server.asked.append(way)
        content, length, status = FILES[name], None, 200
        if way in ("403", "503") or (way == "busy" and self.server.asked.count("busy") == 1):
            content, status = b"<html>no</html>", int(way) if way.isdigit() else 503
        elif way == "html":
            content = b"<html><body>Please log in to this network</body></html>"
        elif way == "truncated":
            content = content[: len(content) // 2]
        elif way == "broken-off":
            content, length = content[: len(content) // 2], len(content)
        elif way == "silent":
            time.sleep(1.5)
            return
        self.send_response(status)
        self.send_header("Content-Length", str(length or len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    """Makes torchvision's MNIST five images on this machine's mirrors: `server("403", "good")`."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.asked = []
    threading.Thread(target=http.serve_forever, daemon=True).start()
    monkeypatch.setattr(downloads, "PAUSE", 0.0)
    monkeypatch.setattr(downloads, "PATIENCE", 0.5)
    for name in (
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)

    def mirrors(*ways):
        http.asked.clear()
        places = [f"http://127.0.0.1:{http.server_port}/{way}/" for way in ways]
        sums = [(name, hashlib.md5(content).hexdigest()) for name, content in FILES.items()]
        monkeypatch.setattr(datasets.MNIST, "mirrors", places)
        monkeypatch.setattr(datasets.MNIST, "resources", sums)
        return http.asked

    yield mirrors
    http.shutdown()
    http.server_close()


WAYS = ["403", "503", "html", "truncated", "broken-off", "silent"]


@pytest.mark.parametrize("way", WAYS)
def test_a_mirror_that_misbehaves_is_passed_over_and_what_came_is_kept(server, tmp_path, way):
    asked = server(way, "good")
    data = ganlib.load("mnist", root=tmp_path)
    assert torch.equal(data.images[:, 0], IMAGES) and torch.equal(data.labels, LABELS.long())
    assert way in asked and "good" in asked
    asked.clear()
    assert torch.equal(ganlib.load("mnist", root=tmp_path).images, data.images) and asked == []


@pytest.mark.parametrize("way", WAYS)
def test_where_all_misbehave_it_says_so_and_leaves_nothing_that_is_taken_for_data(
    server, tmp_path, way, capsys
):
    asked = server(way)
    with pytest.raises(
        OSError,
        match=rf"(?s)'mnist' could not be loaded .*tried http://127.0.0.1:\d+/{way}/.*digits",
    ):
        ganlib.load("mnist", root=tmp_path)
    assert len(asked) >= 2, "asked again"
    data = ganlib.load("mnist", root=tmp_path, fallback="digits")
    assert (
        len(data) == 10_000
        and "Going on with the embedded 10,000 digits" in capsys.readouterr().out
    )
    server("good")
    assert torch.equal(ganlib.load("mnist", root=tmp_path).images[:, 0], IMAGES)


def test_a_busy_server_is_asked_again(server, tmp_path):
    server("busy")
    assert torch.equal(ganlib.load("mnist", root=tmp_path, split="test").images[:, 0], IMAGES)
