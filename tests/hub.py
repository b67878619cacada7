"""A local imitation of the Hugging Face Hub: what `huggingface_hub` asks for, to fetch a model."""

import hashlib
import http.server
import json
import threading
from urllib.parse import unquote


class Hub:
    """Serves repositories, {name: {commit or branch: {file: bytes}}}, at `address`; `asked` are the
    paths that were asked for. `with` starts and ends it.
    """

    def __init__(self, repositories):
        self.repositories, self.asked = repositories, []
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                hub.asked.append(unquote(self.path.partition("?")[0]))
                self.answer(*hub.answer(hub.asked[-1]))

            do_HEAD = do_GET

            def answer(self, status, content, headers):
                self.send_response(status)
                for name, value in {"Content-Length": len(content), **headers}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answer(self, path):
        """Return (status, content, headers): of a list of files, or of one file."""
        parts = path.strip("/").split("/")
        about = parts[:2] == ["api", "models"]
        name = "/".join(parts[2:4] if about else parts[:2])
        versions = self.repositories.get(name)
        if versions is None:
            return 404, b"", {"X-Error-Code": "RepoNotFound"}
        revision = "main"
        for mark in ("revision", "resolve", "tree"):
            if mark in parts:
                revision = parts[parts.index(mark) + 1]
        # the newest commit is main; "v1" a tag of the first
        commit = {"main": list(versions)[-1], "v1": next(iter(versions))}.get(revision, revision)
        if commit not in versions:
            return 404, b"", {"X-Error-Code": "RevisionNotFound"}
        files = versions[commit]
        if about and "tree" in parts:
            rows = [
                {"type": "file", "path": file, "size": len(content), "oid": _oid(content)}
                for file, content in files.items()
            ]
            return 200, json.dumps(rows).encode(), {"Content-Type": "application/json"}
        if about:
            listed = [{"rfilename": file} for file in files]
            said = {"id": name, "modelId": name, "sha": commit, "siblings": listed}
            said |= {"private": False, "downloads": 0, "likes": 0, "tags": []}
            return 200, json.dumps(said).encode(), {"Content-Type": "application/json"}
        content = files.get("/".join(parts[parts.index("resolve") + 2 :]))
        if content is None:
            return 404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}
        return 200, content, {"ETag": f'"{_oid(content)}"', "X-Repo-Commit": commit}


def _oid(content):
    return hashlib.sha1(content).hexdigest()
