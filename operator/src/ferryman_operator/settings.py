"""Settings of the operator, and what kopf is told about them."""

from __future__ import annotations

import json
import logging
import socket
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import kopf

from ferryman.durations import parse_duration
from ferryman.settings import BadSetting
from ferryman_operator.monitors import MonitorSettings
from ferryman_operator.names import MANAGED_SELECTOR, WORKER_SELECTOR
from ferryman_operator.watches import PATIENCE_S


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """What the operator is started with.

    `namespaces` are those it looks after; none means all. `poll_s` is how often each Redis is asked, and
    `redis_timeout_s` how long it may take to answer. `identity` tells this operator from all others, and from its
    predecessor in the same pod not; `lease_namespace` is where its lease lies when it looks after all namespaces.
    """

    scheduler_image: str
    scheduler_resources: Mapping[str, Any] = field(default_factory=dict)
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()  # Secrets beside the TaskQueues with which schedulers pull their image
    namespaces: tuple[str, ...] = ()
    cluster_name: str = "kubernetes"
    port: int = 8080
    poll_s: float = 1.0
    redis_timeout_s: float = 2.0
    resync_s: float = 120.0
    watch_patience_s: float = PATIENCE_S
    lease_namespace: str = "ferryman-system"
    identity: str = "ferryman-operator"
    pod_monitors: MonitorSettings = field(default_factory=MonitorSettings)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> OperatorSettings:
        """Read the environment. Raises BadSetting naming the variable."""
        if not (image := env.get("FERRYMAN_SCHEDULER_IMAGE", "")):
            raise BadSetting("FERRYMAN_SCHEDULER_IMAGE", "is not set; it should name the image of ferryman-scheduler")
        return cls(
            scheduler_image=image,
            scheduler_resources=_json_object(env, "FERRYMAN_SCHEDULER_RESOURCES"),
            pull_policy=env.get("FERRYMAN_IMAGE_PULL_POLICY", "IfNotPresent"),
            pull_secrets=tuple(env.get("FERRYMAN_IMAGE_PULL_SECRETS", "").replace(",", " ").split()),
            namespaces=tuple(name for name in env.get("FERRYMAN_WATCH_NAMESPACES", "").replace(",", " ").split()),
            cluster_name=env.get("FERRYMAN_CLUSTER_NAME", "kubernetes"),
            port=_port(env, "FERRYMAN_PORT", 8080),
            poll_s=_duration(env, "FERRYMAN_POLL_INTERVAL", "1s"),
            redis_timeout_s=_duration(env, "FERRYMAN_REDIS_TIMEOUT", "2s"),
            resync_s=_duration(env, "FERRYMAN_RESYNC_INTERVAL", "2m"),
            watch_patience_s=_duration(env, "FERRYMAN_WATCH_PATIENCE", f"{PATIENCE_S:g}s"),
            lease_namespace=env.get("FERRYMAN_LEASE_NAMESPACE", "ferryman-system"),
            pod_monitors=_monitors(env, "FERRYMAN_POD_MONITORS"),
            identity=f"{socket.gethostname()}_{env.get('FERRYMAN_POD_UID') or uuid.uuid4()}",
        )


def kopf_settings() -> kopf.OperatorSettings:
    """kopf watches and nothing else: no events for log lines, no peering, no search for resources that come later."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.watching.connect_timeout = 5
    settings.watching.server_timeout = 300
    settings.networking.request_timeout = 30
    for plural in ("deployments", "cronjobs", "poddisruptionbudgets"):
        settings.watching.label_selectors[plural] = MANAGED_SELECTOR
    settings.watching.label_selectors["pods"] = WORKER_SELECTOR
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    return settings


def _json_object(env: Mapping[str, str], name: str) -> Mapping[str, Any]:
    try:
        value = json.loads(env.get(name) or "{}")
    except ValueError as error:
        raise BadSetting(name, f"is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadSetting(name, "is not a JSON object, such as {}")
    return value


def _monitors(env: Mapping[str, str], name: str) -> MonitorSettings:
    given = {**asdict(MonitorSettings()), **_json_object(env, name)}
    labels = given["labels"]
    if not isinstance(given["enabled"], bool):
        raise BadSetting(name, "enabled: is neither true nor false")
    if not isinstance(given["interval"], str):
        raise BadSetting(name, 'interval: is no duration such as "15s"')
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise BadSetting(name, 'labels: is not an object of texts such as {"release": "prometheus"}')
    return MonitorSettings(given["enabled"], given["interval"], labels)


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, str(default))
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise BadSetting(name, f"{text!r} is no port")
    return int(text)


def _duration(env: Mapping[str, str], name: str, default: str) -> float:
    try:
        return parse_duration(env.get(name, default))
    except ValueError as error:
        raise BadSetting(name, str(error)) from error
