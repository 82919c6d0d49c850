"""Cluster: everything that the operator says to the Kubernetes API, apart from its watches.

The only module that knows the `kubernetes` client. That client blocks, so each call runs in a thread of its own
small pool with a timeout; the event loop never waits for the API server. Objects are plain dicts.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import urllib3.exceptions
from kubernetes import client, config

from ferryman_operator import refusals
from ferryman_operator.names import MANAGED_SELECTOR, MANAGER, WORKER_SELECTOR
from ferryman_operator.world import Kind, Object, slim

#: Seconds to connect and to wait for a reply.
TIMEOUT_S: Final = (3.0, 10.0)

_PATHS: Final = {
    Kind.TASK_QUEUE: ("/apis/ferryman.dev/v1alpha1", "taskqueues", ""),
    Kind.TASK_SCHEDULE: ("/apis/ferryman.dev/v1alpha1", "taskschedules", ""),
    Kind.DEPLOYMENT: ("/apis/apps/v1", "deployments", MANAGED_SELECTOR),
    Kind.CRON_JOB: ("/apis/batch/v1", "cronjobs", MANAGED_SELECTOR),
    Kind.DISRUPTION_BUDGET: ("/apis/policy/v1", "poddisruptionbudgets", MANAGED_SELECTOR),
    Kind.POD_MONITOR: ("/apis/monitoring.coreos.com/v1", "podmonitors", MANAGED_SELECTOR),
    Kind.POD: ("/api/v1", "pods", WORKER_SELECTOR),
}
MERGE: Final = "application/merge-patch+json"
_LEASES: Final = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"

#: So many reports (statuses, events) are written at once.
REPORT_THREADS: Final = 4

#: Lists come in pages of so many objects: a thousand at once would be the operator's peak of memory.
PAGE: Final = 250


class ClusterError(Exception):
    """The API server refused or did not answer. `status` is the HTTP status, 0 for no answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class NotFound(ClusterError):
    """No such object, or no such kind."""


class Forbidden(ClusterError):
    """A permission is missing; the message names verb and resource, and who needs them."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, refusals.sentence(message))


class NotLeading(ClusterError):
    """Another operator may be at work by now, so nothing was written."""


class Invalid(ClusterError):
    """The object is not acceptable; the message names the field."""


class Conflict(ClusterError):
    """Somebody else wrote at the same moment; trying again is safe."""


_ERRORS: Final[dict[int, type[ClusterError]]] = {
    404: NotFound,
    403: Forbidden,
    422: Invalid,
    400: Invalid,
    409: Conflict,
}


class Cluster:
    """The API server, as the service account of this pod or the user of the kubeconfig.

    `may_write` is asked for the namespace of each write but those of leases, at the last moment.
    """

    def __init__(self, *, threads: int = 12, may_write: Callable[[str], bool] = lambda namespace: True) -> None:
        loader: Any = config  # partly untyped
        try:
            loader.load_incluster_config()
        except config.ConfigException:
            loader.load_kube_config()
        settings = client.Configuration.get_default_copy()
        settings.retries = False
        settings.connection_pool_maxsize = threads + 2 + REPORT_THREADS
        self._api: Any = client.ApiClient(settings)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="cluster")
        # Of their own: a thousand writes in the queue must not cost the lease, nor what only tells delay what acts.
        self._lease_threads = ThreadPoolExecutor(2, thread_name_prefix="lease")
        self._report_threads = ThreadPoolExecutor(REPORT_THREADS, thread_name_prefix="report")
        self.may_write = may_write

    async def list(self, kind: Kind, namespace: str | None) -> tuple[list[Object], int]:
        """All objects of a kind that concern the operator, and the version of the list. None = all namespaces."""
        _, _, selector = _PATHS[kind]
        query = {"limit": str(PAGE)} | ({"labelSelector": selector} if selector else {})
        found: list[Object] = []
        version = 0
        while True:
            reply = await self._request("GET", _path(kind, namespace), query=query)
            found += [slim(kind, item) for item in reply["items"]]
            version = version or int(reply["metadata"]["resourceVersion"])
            if not (rest := reply["metadata"].get("continue")):
                return found, version
            query["continue"] = rest

    async def apply(self, kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
        """Server-side apply: create the object, or make the fields in `body` what they are there."""
        metadata = body["metadata"]
        return await self._request(
            "PATCH",
            _path(kind, metadata["namespace"], metadata["name"]),
            query={"fieldManager": MANAGER, "force": "true"},
            body=body,
            content_type="application/apply-patch+yaml",
        )

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """Delete this very object; done if it is gone already."""
        try:
            await self._request("DELETE", _path(kind, namespace, name), body={"preconditions": {"uid": uid}})
        except NotFound:
            return

    async def patch_status(
        self, namespace: str, name: str, status: Mapping[str, Any], kind: Kind = Kind.TASK_QUEUE
    ) -> dict[str, Any]:
        """Merge `status` into the status of a TaskQueue or a TaskSchedule."""
        path = f"{_path(kind, namespace, name)}/status"
        query = {"fieldManager": MANAGER}
        return await self._request(
            "PATCH", path, query=query, body={"status": status}, content_type=MERGE, threads=self._report_threads
        )

    async def seed_replicas(self, namespace: str, name: str, replicas: int) -> dict[str, Any]:
        """Set a TaskQueue's spec.replicas once, because an autoscaler takes a missing number for zero."""
        path = f"{_path(Kind.TASK_QUEUE, namespace, name)}/scale"
        body = {"spec": {"replicas": replicas}}
        return await self._request("PATCH", path, query={}, body=body, content_type=MERGE)

    async def stop(self, namespace: str, deployment: str) -> int:
        """Scale a Deployment to zero; returns how many pods it still has."""
        path, change = _path(Kind.DEPLOYMENT, namespace, deployment), {"spec": {"replicas": 0}}
        reply = await self._request("PATCH", path, body=change, content_type=MERGE)
        return int((reply.get("status") or {}).get("replicas", 0))

    async def set_finalizers(self, body: Mapping[str, Any], finalizers: Sequence[str]) -> dict[str, Any]:
        """Make these the finalizers of a TaskQueue. Raises Conflict when `body` is not its newest version."""
        metadata = body["metadata"]
        change = {"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": list(finalizers)}}
        path = _path(Kind.TASK_QUEUE, metadata["namespace"], metadata["name"])
        query = {"fieldManager": MANAGER}
        return await self._request("PATCH", path, query=query, body=change, content_type=MERGE)

    async def secret_value(self, namespace: str, name: str, key: str) -> str | None:
        """The value of a Secret's key, or None when the Secret has no such key. Raises NotFound."""
        secret = await self._request("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}")
        value = (secret.get("data") or {}).get(key)
        return None if value is None else base64.b64decode(value).decode().strip()

    async def create_event(self, event: Mapping[str, Any]) -> None:
        """Post an Event."""
        path = f"/api/v1/namespaces/{event['metadata']['namespace']}/events"
        await self._request("POST", path, body=event, threads=self._report_threads)

    async def patch_event(self, namespace: str, name: str, change: Mapping[str, Any]) -> None:
        """Merge `change` into an Event. Raises NotFound when it has expired."""
        path = f"/api/v1/namespaces/{namespace}/events/{name}"
        await self._request("PATCH", path, body=change, content_type=MERGE, threads=self._report_threads)

    async def has_kind(self, kind: Kind) -> bool:
        """Whether the API server knows a kind."""
        prefix, plural, _ = _PATHS[kind]
        try:
            reply = await self._request("GET", prefix)
        except NotFound:
            return False
        return any(resource["name"] == plural for resource in reply["resources"])

    async def lease(self, namespace: str, name: str) -> dict[str, Any]:
        """A Lease. Raises NotFound."""
        return await self._request("GET", f"{_LEASES.format(namespace)}/{name}", threads=self._lease_threads)

    async def create_lease(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create a Lease. Raises Conflict when it exists."""
        path = _LEASES.format(body["metadata"]["namespace"])
        return await self._request("POST", path, body=body, threads=self._lease_threads)

    async def replace_lease(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Replace a Lease. Raises Conflict when `body` was not made from its newest version."""
        path = f"{_LEASES.format(body['metadata']['namespace'])}/{body['metadata']['name']}"
        return await self._request("PUT", path, body=body, threads=self._lease_threads)

    def close(self) -> None:
        """Let running requests end, take no new ones."""
        for threads in (self._threads, self._lease_threads, self._report_threads):
            threads.shutdown(wait=False, cancel_futures=True)
        self._api.close()

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        threads: ThreadPoolExecutor | None = None,
    ) -> dict[str, Any]:
        def exchange() -> dict[str, Any]:
            if (
                method != "GET"
                and threads is not self._lease_threads
                and not self.may_write(path.split("/namespaces/")[1].split("/")[0])
            ):
                raise NotLeading(0, "this operator does not hold the lease now")
            return self._exchange(method, path, query or {}, body, content_type)

        return await asyncio.get_running_loop().run_in_executor(threads or self._threads, exchange)

    def _exchange(
        self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None, content_type: str
    ) -> dict[str, Any]:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        request = self._api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            reply = self._api.call_api(*request, _request_timeout=TIMEOUT_S)
            data = reply.read()
        except (client.exceptions.OpenApiException, urllib3.exceptions.HTTPError, OSError) as error:
            raise ClusterError(0, f"the API server does not answer: {error}") from error
        parsed: dict[str, Any] = json.loads(data) if data.startswith(b"{") else {}
        if reply.status >= 400:
            message = parsed.get("message") or data.decode(errors="replace")[:500]
            raise error_of(reply.status, message)
        return parsed


def error_of(status: int, message: str) -> ClusterError:
    """What a refusal means. To an apply of a field that its schema does not know the API server says 500."""
    if status == 500 and message.startswith("failed to create typed patch object"):
        return Invalid(status, message)
    return _ERRORS.get(status, ClusterError)(status, message)


def _path(kind: Kind, namespace: str | None, name: str | None = None) -> str:
    prefix, plural, _ = _PATHS[kind]
    place = f"{prefix}/namespaces/{namespace}/{plural}" if namespace else f"{prefix}/{plural}"
    return f"{place}/{name}" if name else place
