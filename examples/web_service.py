"""A web service that answers at once and lets a worker do the rest; with nothing but the standard library.

`python web_service.py 8080` serves until Ctrl-C:

    curl -d 'the quick brown fox jumps over the lazy dog and the cat' localhost:8080/reports

Without a port it serves itself for a moment, and prints::

    POST -> 202 {'id': 'task-01a20157-1204-7000-b5cf-cad9b112929d', 'state': 'PENDING'}
    POST -> 200 {'id': 'task-01a20157-1204-7000-b5cf-cad9b112929d', 'state': 'COMPLETED', 'value': {...}}
    GET -> 200 {..., 'state': 'COMPLETED', 'value': {..., 'longest': 'quick'}}
    GET -> 404 {'id': 'nothing', 'state': 'unknown'}
"""

import contextlib
import json
import sys
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import TypedDict

from omniq import OmniQ, TaskNotFoundError

app = OmniQ("reports.db")


class Report(TypedDict):
    words: int
    longest: str


@app.task(queue="reports", timeout=60)
def report(text: str) -> Report:
    words = text.split()
    return {"words": len(words), "longest": max(words, key=len)}


def state_of(task_id: str) -> tuple[int, dict[str, object]]:
    """Return the status code and the answer for a task."""
    try:
        result = app.get_result(task_id)
    except TaskNotFoundError:
        return 404, {"id": task_id, "state": "unknown"}
    answer: dict[str, object] = {"id": task_id, "state": result.status.value}
    if not result.is_final:
        return 202, answer
    if result.error is not None:
        return 200, {**answer, "error": result.error.summary()}
    return 200, {**answer, "value": result.value}


class Handler(BaseHTTPRequestHandler):
    """Every request has its own thread; the application is the same in all of them."""

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        # The client's own id makes a repeated request harmless: the same task is not enqueued twice.
        job = report.options(task_id=self.headers.get("Idempotency-Key")).enqueue(text)
        self.answer(*state_of(job.id))

    def do_GET(self) -> None:
        self.answer(*state_of(self.path.rpartition("/")[2]))

    def answer(self, code: int, body: dict[str, object]) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Be quiet."""


def ask(server: HTTPServer, method: str, path: str, *, text: str | None = None, key: str | None = None) -> str:
    """Send one request, print the answer, and return the id in it."""
    connection = HTTPConnection("localhost", server.server_port)
    with contextlib.closing(connection):
        connection.request(method, path, text, {} if key is None else {"Idempotency-Key": key})
        response = connection.getresponse()
        answer = json.load(response)
    print(f"{method} -> {response.status} {answer}")
    return str(answer["id"])


def visit(server: HTTPServer) -> None:
    """Be a client for a moment. The worker starts late, so that the first answer is always the same."""
    fox = "the quick brown fox jumps over the lazy dog and the cat"
    task_id = ask(server, "POST", "/reports", text=fox)
    with app.worker(queues="reports"):
        app.wait_result(task_id, timeout=30)
    ask(server, "POST", "/reports", text=fox, key=task_id)
    ask(server, "GET", f"/reports/{task_id}")
    ask(server, "GET", "/reports/nothing")


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    with app, ThreadingHTTPServer(("localhost", port), Handler) as server:
        if port:
            with app.worker(queues="reports"):
                server.serve_forever()
        else:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            visit(server)
            server.shutdown()


if __name__ == "__main__":
    main()
