"""Two versions of an app, on two versions of the protocol, on one queue: a rolling update burns no task."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from ferryman_e2e.forward import Forward
from ferryman_e2e.kubectl import Kubectl
from ferryman_e2e.scene_queue import SceneQueue
from ferryman_e2e.waiting import until

from ferryman.broker import Broker
from ferryman.inspector import Inspector
from ferryman.link import Link
from ferryman.new_task import NewTask
from ferryman.protocol import PROTOCOL

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]

# The base has no pip. What is there of Ferryman goes first, as its bytecode would be trusted unchecked.
_DOCKERFILE = """\
ARG WORKER_IMAGE=localhost/ferryman-worker:dev
FROM ${WORKER_IMAGE}
USER root
COPY wheels /tmp/wheels
RUN python -c "import glob, shutil, sysconfig, zipfile; site = sysconfig.get_path('purelib'); \\
    [shutil.rmtree(f'{site}/{name}') for name in ('ferryman', 'ferryman_worker')]; \\
    [zipfile.ZipFile(wheel).extractall(site) for wheel in glob.glob('/tmp/wheels/*.whl')]"
USER 65532:65532
COPY acme.py .
"""

_APP = """\
    import asyncio, json, os
    from contextlib import asynccontextmanager
    from ferryman import Context, Queue
    from ferryman.call import command
    from ferryman.link import Link

    @asynccontextmanager
    async def lifespan():
        link = Link.from_url(os.environ["SCENE_REDIS_URL"])
        yield link
        await link.close()

    queue = Queue(os.environ["SCENE_QUEUE"], lifespan=lifespan)

    async def journal(ctx: Context[Link]) -> None:
        entry = {"event": VERSION, "id": ctx.task_id, "pod": os.environ["HOSTNAME"], "at_s": 0.0}
        await ctx.deps.run(command("RPUSH", "e2e:journal:" + os.environ["SCENE_QUEUE"], json.dumps(entry), read=int))
        await asyncio.sleep(0.2)
"""

_OLD = (
    _APP
    + """
    VERSION = "old"

    @queue.task
    async def move(ctx: Context[Link], number: int) -> None:
        await journal(ctx)
"""
)

_NEW = (
    _APP
    + """
    VERSION = "new"

    @queue.task
    async def move(ctx: Context[Link], number: int = 0, target: str = "") -> None:
        await journal(ctx)

    @queue.task
    async def extra(ctx: Context[Link]) -> None:
        await journal(ctx)
"""
)


def _said(*words: str) -> None:
    done = subprocess.run(words, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}:\n{done.stdout}{done.stderr}"


def _image(folder: Path, app: str, protocol: int) -> None:
    """localhost/ferryman-<folder>:dev: the app, on wheels of this source with another protocol number."""
    source = folder / "source"
    for part in ("pyproject.toml", "README.md"):
        source.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / part, source / part)
    for part in ("src", "worker"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
        shutil.copytree(ROOT / part, source / part, ignore=ignored)
    constant = source / "src/ferryman/protocol.py"
    text, found = re.subn(r"(?m)^PROTOCOL: Final = \d+$", f"PROTOCOL: Final = {protocol}", constant.read_text())
    assert found == 1
    constant.write_text(text)
    words = ("pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(folder / "wheels"))
    _said(sys.executable, "-m", *words, str(source), str(source / "worker"))
    shutil.rmtree(source)
    (folder / "acme.py").write_text(dedent(app))
    (folder / "Dockerfile").write_text(_DOCKERFILE)
    _said(str(ROOT / "hack/images/build"), str(folder))


@pytest.fixture(scope="module")
def images(installed: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> None:
    """localhost/ferryman-skew-old:dev speaks N-1, localhost/ferryman-skew-new:dev N as scheduler and producer do."""
    folder = tmp_path_factory.mktemp("images")
    _image(folder / "skew-old", _OLD, PROTOCOL - 1)
    _image(folder / "skew-new", _NEW, PROTOCOL)
    _said(str(ROOT / "hack/images/load"), "skew-old", "skew-new")


class Producer:
    """Code of the new version that enqueues while the workers are updated: a web side that was deployed first."""

    def __init__(self, redis_url: str, queue: str) -> None:
        self._redis_url = redis_url
        self._queue = queue
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self.sent: dict[str, str] = {}
        self.failed: Exception | None = None

    def __enter__(self) -> "Producer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    async def _run(self) -> None:
        link = Link.from_url(self._redis_url)
        broker, inspector = Broker(self._queue), Inspector(self._queue)
        try:
            while not self._stop.is_set():
                number = len(self.sent)
                batch = {f"number-{number}": ("move", b'{"number": 1}'), f"extra-{number}": ("extra", b"{}")}
                if len(await link.run(inspector.versions("move"))) == 2:  # the first worker of the new version is there
                    batch[f"target-{number}"] = ("move", b'{"target": "there"}')
                await link.run(broker.enqueue([NewTask(id, name, args) for id, (name, args) in batch.items()]))
                self.sent |= {id: name for id, (name, _) in batch.items()}
                await asyncio.sleep(0.2)
        except Exception as error:
            self.failed = error
        finally:
            await link.close()


@pytest.fixture
def redis_url(installed: Kubectl) -> Iterator[str]:
    """The Redis of the cluster, from here."""
    forward = Forward(installed, "service/ferryman-redis", 6379)
    yield forward.url().replace("http://", "redis://") + "/0"
    forward.close()


@pytest.mark.usefixtures("images")
def test_a_rolling_update_with_new_tasks_and_new_arguments_burns_nothing(queue: SceneQueue, redis_url: str) -> None:
    old = {"image": "localhost/ferryman-skew-old:dev", "app": "acme", "concurrency": 4}
    queue.create(worker=old, scaling={"minReplicas": 3, "maxReplicas": 3})
    before = {pod["metadata"]["uid"] for pod in queue.wait_workers(3)}
    with Producer(redis_url, queue.name) as producer:
        queue.wait_figures("a name of the new version is parked", lambda f: f["parked"] > 0, timeout_s=30)
        queue.change(worker={"image": "localhost/ferryman-skew-new:dev"})
        until(
            "only new pods run",
            lambda: {pod["metadata"]["uid"] for pod in queue.pods()},
            lambda found: not found & before,
            timeout_s=120,
        )
        time.sleep(1)  # some more of each kind, for new workers alone
    assert producer.failed is None
    queue.wait_workers(3)
    figures = queue.wait_completed(len(producer.sent), timeout_s=120)
    assert (figures["dead"], figures["failed"], figures["parked"], figures["recovered"]) == (0, 0, 0, 0)
    journal = queue.journal()
    assert {entry.id for entry in journal} == set(producer.sent)
    assert len(journal) == len(producer.sent), "each ran once"
    by_version = {
        version: {entry.id.split("-")[0] for entry in journal if entry.event == version} for version in ("old", "new")
    }
    assert by_version == {"old": {"number"}, "new": {"number", "extra", "target"}}
    agreed = queue.wait_condition("ProtocolAgreed", "True", 30)
    assert f"protocol {PROTOCOL}," in agreed["message"]
