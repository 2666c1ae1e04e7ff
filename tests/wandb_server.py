"""A stand-in for W&B's server, on this machine, that keeps what it is sent and knows no artifacts."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class WandbServer:
    """Takes runs of anyone; `requests` has the path and the body of each request."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, bytes]] = []
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                requests.append((self.path, body))
                answer = json.dumps(_answer(json.loads(body)) if self.path == "/graphql" else {}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_PUT = do_POST

            def log_message(self, *_: Any) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Be gone, as when the network is down."""
        self._server.shutdown()
        self._server.server_close()

    def asked(self, operation: str) -> list[dict[str, Any]]:
        """The variables of each GraphQL request of the name."""
        bodies = [json.loads(body) for path, body in self.requests if path == "/graphql"]
        return [body.get("variables", {}) for body in bodies if operation == _operation(body["query"])]


def _operation(query: str) -> str:
    named = re.search(r"(?:query|mutation)\s+(\w+)", query)
    return named[1] if named else ""


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    given = request.get("variables", {})
    project = {"id": "p", "name": given.get("project"), "entity": {"id": "e", "name": "ada"}}
    run = {"id": "r", "name": given.get("name"), "displayName": given.get("displayName"), "project": project}
    files = [{"name": name, "uploadUrl": None} for name in given.get("files", [])]
    known: dict[str, Any] = {
        "Viewer": {"viewer": {"id": "u", "entity": "ada", "username": "ada", "flags": "{}", "teams": {"edges": []}}},
        "RunResumeStatus": {"model": None},
        "UpsertBucket": {"upsertBucket": {"bucket": run, "inserted": True}},
        "CreateRunFiles": {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": files}},
        "ArtifactType": {"project": {"artifact": None}},
    }
    operation = _operation(request["query"])
    return {"data": known[operation]} if operation in known else {"errors": [{"message": f"{operation} is not known"}]}
