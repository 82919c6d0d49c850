"""Ferryman's HTTP API, as a producer in any language uses it."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

import httpx

from ferryman_e2e.forward import Forward


class Api:
    """Calls the API through a port-forward, with its token. Answers are asserted unless a method says otherwise."""

    def __init__(self, forward: Forward, token: str) -> None:
        self._forward = forward
        self._client = httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=20, trust_env=False)

    def close(self) -> None:
        """Ends the connections and the forward."""
        self._client.close()
        self._forward.close()

    def request(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        """Any answer. A connection that fails is tried again for a while: forwards break when pods go."""
        deadline = time.monotonic() + 30
        while True:
            try:
                return self._client.request(method, self._forward.url() + path, json=body, **more)
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                self._forward.close()

    def look(self, path: str) -> httpx.Response:
        """A GET that is sent again for a while when Redis is away, as the answer's Retry-After asks for."""
        deadline = time.monotonic() + 60
        while True:
            answer = self.request("GET", path)
            if answer.status_code != 503 or time.monotonic() > deadline:
                return answer
            time.sleep(float(answer.headers["Retry-After"]))

    def post(self, queue: str, task: str, args: Mapping[str, Any] | None = None, **options: Any) -> list[str]:
        """Enqueues through POST /tasks; the ids."""
        body = {"queue": queue, "task": task, "args": args or {}, **options}
        answer = self.request("POST", "/tasks", body)
        assert answer.status_code == 201, answer.text
        ids: list[str] = answer.json()["ids"]
        return ids

    def queue(self, queue: str) -> dict[str, Any]:
        """Figures, known tasks and workers of a queue; only zeros for one that nobody has used."""
        answer = self.look(f"/queues/{queue}")
        if answer.status_code == 404:
            return dict.fromkeys(("waiting", "active", "delayed", "dead", "completed", "unaccounted", "workers"), 0) | {
                "worker_list": [],
                "tasks": [],
            }
        assert answer.status_code == 200, answer.text
        figures: dict[str, Any] = answer.json()
        return figures

    def task(self, queue: str, task_id: str) -> dict[str, Any]:
        """The record of one task."""
        answer = self.look(f"/tasks/{queue}/{task_id}")
        assert answer.status_code == 200, answer.text
        record: dict[str, Any] = answer.json()
        return record

    def tasks(self, queue: str, ids: Iterable[str]) -> list[dict[str, Any]]:
        """The records of all these tasks: each id must be known."""
        return [self.task(queue, task_id) for task_id in ids]

    def reset(self, queue: str) -> None:
        """Discards what waits, is delayed or dead."""
        answer = self.request("POST", f"/queues/{queue}/reset", {"confirm": queue})
        assert answer.status_code in (200, 404), answer.text
