"""A server of chat completions on the loopback: says what it is told to, and counts what it sold."""

import contextlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Say = Callable[[dict[str, Any], int], Any]
"""From the request's body and how often the same was asked before: the text of the answer, a choice (a message with
its finish_reason), a whole response (with `choices` or `data`), a status with a body, or what to do to the handler
of the connection instead."""


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *of: Any) -> None:
        super().__init__(*of)
        self.connections: set[socket.socket] = set()

    def process_request(self, request: Any, address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, *_: object) -> None:
        """A client that was killed."""


class ChatServer:
    """`with ChatServer(say) as server: ... server.url`."""

    def __init__(
        self, say: Say, pause_s: float = 0.0, n_slots: int | None = None, ids: list[int] | None = None, port: int = 0
    ) -> None:
        """A server that listens from now on, and answers from `with` on.

        Args:
            say: what it says.
            pause_s: how long it works on an answer.
            n_slots: how many it works on at once; it tells of its queue then.
            ids: what it says of /tokenize.
            port: 0 for any that is free.
        """
        self.say, self.pause_s, self.ids = say, pause_s, ids
        self.slots = threading.Semaphore(n_slots) if n_slots else None
        self.n_running = 0
        self.paths: list[str] = []
        self.n_in_flight: list[int] = []
        """At each look at /metrics."""
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
                if self.path == "/metrics":
                    return self._send(*((200, server.metrics(), {}) if server.slots else (404, b"", {})))
                models = [{"id": "judge-1", "root": "org/judge"}, {"id": "judge-2"}, {"id": "j", "root": "org/judge"}]
                return self._send(200, {"data": models}, {})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                server.paths.append(self.path)
                if self.path == "/tokenize":
                    return self._send(*((200, {"tokens": server.ids}, {}) if server.ids else (404, b"", {})))
                return server.answer(self, body)

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

        self._http = _Listener(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> "ChatServer":
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def die(self) -> None:
        """Stop listening, and break off all connections."""
        self._http.shutdown()
        self._http.server_close()
        for connection in list(self._http.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def answer(self, handler: Any, body: dict[str, Any]) -> None:
        """One request."""
        what = body["prompt"] if "prompt" in body else body["messages"][-1]["content"]
        with self.lock:
            self.bodies.append(body)
            self.headers.append({name.lower(): value for name, value in handler.headers.items()})
            n_before = self.asked[what]
            self.asked[what] += 1
            self.n_at_once += 1
            self.most_at_once = max(self.most_at_once, self.n_at_once)
        with self.slots or contextlib.nullcontext():
            with self.lock:
                self.n_running += 1
            end = time.monotonic() + self.pause_s
            while time.monotonic() < end and not handler.gone():
                time.sleep(0.002)
            with self.lock:
                self.n_running -= 1
        said = self.say(body, n_before)
        with self.lock:
            self.n_at_once -= 1
        if callable(said):
            return said(handler)
        if isinstance(said, tuple):
            return handler._send(said[0], said[1], said[2] if len(said) > 2 else {})
        if handler.gone():
            return None
        choice = said if isinstance(said, dict) else {"message": {"content": said}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 100, "completion_tokens": 10}
        with self.lock:
            self.sold[what] += 1
        whole = choice if "choices" in choice or "data" in choice else {"choices": [choice], "usage": usage}
        return handler._send(200, whole, {})

    def metrics(self) -> bytes:
        """As vLLM has them."""
        with self.lock:
            self.n_in_flight.append(self.n_at_once)
            n_waiting = self.n_at_once - self.n_running
            return (
                "# TYPE vllm:num_requests_running gauge\n"
                f'vllm:num_requests_running{{engine="0",model_name="judge-1"}} {float(self.n_running)}\n'
                f'vllm:num_requests_waiting{{engine="0",model_name="judge-1"}} {float(n_waiting)}\n'
                f'vllm:num_requests_waiting_by_reason{{engine="0",reason="capacity"}} {float(n_waiting)}\n'
            ).encode()
