"""A server that says the question again, in capitals."""

import argparse
import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from vllm import add_flags, start_core


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send(503 if os.environ.get("FAKE_VLLM") == "deaf" else 200, {"data": []})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        said = body["messages"][-1]["content"]
        if said == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        choice = {"message": {"content": said.upper()}, "finish_reason": "stop"}
        self.send(200, {"model": body["model"], "choices": [choice], "usage": {}})

    def send(self, status: int, value: Any) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main() -> None:
    parser = add_flags(argparse.ArgumentParser(prog="api_server.py"))
    for name in ("--host", "--port", "--served-model-name", "--runner"):
        parser.add_argument(name, required=True)
    flags = parser.parse_args()
    start_core()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # leaves its core behind
    ThreadingHTTPServer((flags.host, int(flags.port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
