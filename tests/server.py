"""A web server on this machine that misbehaves as download servers do."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

QUOTA_PAGE = b"<!DOCTYPE html><html><body>Too many users have viewed or downloaded this file recently.</body></html>"


class Server:
    """Serves the files of `root`; `does` lists what it does to the next requests of a path, then it serves.

    "cut": closes the connection half-way · "stall": sends half and then nothing · "trickle": ten bytes a second ·
    "short": sends half and says that it is all · an int: answers this HTTP status · "quota": answers 200 with a page ·
    "no ranges", "quota no ranges": for ever.
    """

    def __init__(self, root: Path):
        self.root, self.does, self.asked, self.addresses = root, {}, [], []
        self.retry_after = "0"
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()  # seconds per poll
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler):
        path, ranges = request.path.partition("?")[0].lstrip("/"), request.headers.get("Range")
        self.asked.append((path, ranges))
        self.addresses.append(request.path)
        todo = self.does.get(path, [])
        act = todo if isinstance(todo, str) else todo.pop(0) if todo else "serve"
        if isinstance(act, int):
            request.send_response(act)
            request.send_header("Retry-After", self.retry_after)
            request.send_header("Content-Length", "0")
            request.end_headers()
        elif not (self.root / path).is_file():
            request.send_error(404)
        elif "quota" in act:
            self._send(request, QUOTA_PAGE, 200, "text/html; charset=utf-8")
        else:
            data = (self.root / path).read_bytes()
            first = int(ranges.removeprefix("bytes=").split("-")[0]) if ranges and act != "no ranges" else 0
            if first >= len(data):
                request.send_error(416)
                return
            self._send(request, data, 206 if first else 200, "application/octet-stream", first, act)

    def _send(self, request, data: bytes, status: int, kind: str, first: int = 0, act: str = ""):
        rest = data[first : len(data) // 2 if act == "short" else None]
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(rest)))
        request.send_header("ETag", '"one"')
        if status == 206:
            request.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        request.end_headers()
        half = {"cut": len(rest) // 2, "stall": len(rest) // 2, "trickle": 0}.get(act, len(rest))
        try:
            request.wfile.write(rest[:half])
            request.wfile.flush()
            for byte in rest[: 200 if act == "trickle" else 0]:  # slower than a client's time-out notices
                request.wfile.write(bytes([byte]))
                time.sleep(0.1)
            if act == "stall":
                time.sleep(3)
        except OSError:
            pass  # the client has left
        if act in ("cut", "stall"):
            request.close_connection = True
