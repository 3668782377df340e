import json
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Status, headers beside the length, body.
Answer = tuple[int, dict[str, str], bytes]


class Service:
    """Somebody else's, which is asked in JSON, by HTTP: `answer` says what to, and may be exchanged at any time."""

    def __init__(self, answer: Callable[[Any], Answer]) -> None:
        self.answer = answer
        self.lock = threading.Lock()
        self.questions: list[Any] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []

    def __enter__(self) -> "Service":
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # In two pieces the answer would wait for the other side's acknowledgement, 40 ms each time.
            wbufsize = -1

            def do_POST(self) -> None:
                question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with service.lock:
                    service.questions.append(question)
                    service.paths.append(self.path)
                    service.headers.append({name.title(): value for name, value in self.headers.items()})
                status, headers, body = service.answer(question)
                # Whoever asked may have hung up.
                with suppress(OSError):
                    self.send_response(status)
                    for name, value in ({"Content-Length": str(len(body))} | headers).items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body)
                    self.wfile.flush()

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *how: object) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()
