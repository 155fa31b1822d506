"""A server of chat completions on the loopback: says what it is told to, and counts what it sold."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Say = Callable[[dict[str, Any], int], Any]
"""From the request's body and how often the same was asked before: the text of the answer, a message with its
finish_reason, or a status with a body."""


class ChatServer:
    """`with ChatServer(say) as server: ... server.url`."""

    def __init__(self, say: Say, pause_s: float = 0.0) -> None:
        self.say, self.pause_s = say, pause_s
        self.asked: Counter[str] = Counter()
        self.sold: Counter[str] = Counter()
        """Answers that went out whole, by the last message."""
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.lock = threading.Lock()
        self.n_at_once = self.most_at_once = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                self._send(200, {"data": [{"id": "judge-1"}, {"id": "judge-2"}]}, {})

            def do_POST(self) -> None:
                server.answer(self, json.loads(self.rfile.read(int(self.headers["content-length"]))))

            def _send(self, status: int, value: Any, headers: dict[str, str]) -> None:
                content = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                for name, text in {**headers, "content-length": str(len(content))}.items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(content)
                self.wfile.flush()

            def gone(self) -> bool:
                """Whether the client is: a server then stops working, and sells nothing."""
                self.connection.setblocking(False)
                try:
                    return self.connection.recv(1) == b""
                except BlockingIOError:
                    return False
                except OSError:
                    return True
                finally:
                    self.connection.setblocking(True)

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.handle_error = lambda *_: None  # type: ignore[method-assign] # a client that was killed
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> "ChatServer":
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, handler: Any, body: dict[str, Any]) -> None:
        what = body["messages"][-1]["content"]
        with self.lock:
            self.bodies.append(body)
            self.headers.append({name.lower(): value for name, value in handler.headers.items()})
            n_before = self.asked[what]
            self.asked[what] += 1
            self.n_at_once += 1
            self.most_at_once = max(self.most_at_once, self.n_at_once)
        end = time.monotonic() + self.pause_s
        while time.monotonic() < end and not handler.gone():
            time.sleep(0.002)
        said = self.say(body, n_before)
        with self.lock:
            self.n_at_once -= 1
        if isinstance(said, tuple):
            handler._send(said[0], said[1], said[2] if len(said) > 2 else {})
            return
        if handler.gone():
            return
        choice = said if isinstance(said, dict) else {"message": {"content": said}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 100, "completion_tokens": 10}
        with self.lock:
            self.sold[what] += 1
        handler._send(200, {"choices": [choice], "usage": usage}, {})
