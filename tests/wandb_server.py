"""A stand-in for W&B's server, on this machine, that keeps what it is sent and knows no artifacts."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class WandbServer:
    """Takes runs of anyone; `requests` has the path and the body of each request, `views` what is saved by id."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, bytes]] = []
        self.views: dict[str, dict[str, Any]] = {}
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                server.requests.append((self.path, body))
                answer = json.dumps(server._answer(json.loads(body)) if self.path == "/graphql" else {}).encode()
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

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        operation, given = _operation(request["query"]), request.get("variables", {})
        if operation in ("UpsertView2", "upsertView"):
            return {"data": {"upsertView": {"view": self._save(given), "inserted": not given.get("id")}}}
        if operation in ("View", "ProjectViews"):
            return {"data": {"project": {"allViews": _connection(self._saved(given))}}}
        known = _known(given)
        return {"data": known[operation]} if operation in known else {"errors": [{"message": f"no {operation} here"}]}

    def _save(self, given: dict[str, Any]) -> dict[str, Any]:
        number = given.get("id") or f"view{len(self.views)}"
        project = {"id": "p", "name": given["projectName"], "entityName": given["entityName"]}
        self.views[number] = {**given, "id": number, "project": project}
        return self.views[number]

    def _saved(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        views = [view for view in self.views.values() if view["type"] == given.get("viewType", "runs")]
        return [view for view in views if given.get("viewName") in (None, view["name"])]


def _operation(query: str) -> str:
    named = re.search(r"(?:query|mutation)\s+(\w+)", query)
    return named[1] if named else ""


def _connection(nodes: list[dict[str, Any]]) -> dict[str, Any]:
    edges = [{"node": node, "cursor": str(place)} for place, node in enumerate(nodes)]
    return {"edges": edges, "pageInfo": {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}}


def _known(given: dict[str, Any]) -> dict[str, Any]:
    """What is answered to which operation, whatever was sent before."""
    project = {"id": "p", "name": given.get("project"), "entity": {"id": "e", "name": "ada"}}
    run = {"id": "r", "name": given.get("name"), "displayName": given.get("displayName"), "project": project}
    files = [{"name": name, "uploadUrl": None} for name in given.get("files", [])]
    own = {"__typename": "Project", "id": "p", "name": "llm2comp", "entityName": "ada", "user": None}
    viewer = {"id": "u", "entity": "ada", "username": "ada", "flags": "{}", "teams": {"edges": []}}
    return {
        "Viewer": {"viewer": viewer},
        "GetDefaultEntity": {"viewer": viewer},
        "RunResumeStatus": {"model": None},
        "UpsertBucket": {"upsertBucket": {"bucket": run, "inserted": True}},
        "CreateRunFiles": {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": files}},
        "ArtifactType": {"project": {"artifact": None}},
        "GetProjects": {"models": _connection([{**own, "createdAt": "2026-01-01T00:00:00", "isBenchmark": False}])},
    }
