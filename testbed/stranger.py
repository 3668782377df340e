import json
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Status, headers beside the length, body.
Answer = tuple[int, dict[str, str], bytes]


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Whoever asked may have hung up, or been killed.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Stranger:
    """Somebody else's server, which is asked in JSON: `answer` says what to, and may be exchanged at any time."""

    def __init__(self, answer: Callable[[Any], Answer]) -> None:
        self.answer = answer
        self.lock = threading.Lock()
        self.questions: list[Any] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []

    def __enter__(self) -> "Stranger":
        stranger = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # In two pieces the answer would wait for the other side's acknowledgement, 40 ms each time.
            wbufsize = -1

            def do_POST(self) -> None:
                question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with stranger.lock:
                    stranger.questions.append(question)
                    stranger.paths.append(self.path)
                    stranger.headers.append({name.title(): value for name, value in self.headers.items()})
                status, headers, body = stranger.answer(question)
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.http = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *how: object) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()
