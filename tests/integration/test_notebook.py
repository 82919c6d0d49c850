"""A notebook: a real Jupyter kernel, whose loop runs all the time, and where cells are run again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

from ferryman.inspector import Inspector
from ferryman.link import Link

#: Runs a cell; returns what it printed, and raises what it raised.
Cell = Callable[[str], str]

_DEFINES = """
from ferryman import Queue
queue = Queue("notebook")

@queue.task
async def count(n: int) -> None: ...
"""


class CellFailed(Exception):
    """The cell raised."""


@pytest.fixture(scope="module")
def kernel(valkey: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlockingKernelClient]:
    """One for all: to start it takes seconds. Its files are in a folder that goes away."""
    folder = str(tmp_path_factory.mktemp("kernel"))
    environment = {**os.environ, "FERRYMAN_REDIS_URL": valkey.url, "IPYTHONDIR": folder}
    manager, client = start_new_kernel(kernel_name="python3", startup_timeout=60, env=environment, cwd=folder)
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.fixture
def cell(kernel: BlockingKernelClient, redis_url: str) -> Cell:
    """Runs cells; Redis is empty."""
    return lambda source: _run(kernel, source)


def _run(client: BlockingKernelClient, source: str) -> str:
    printed: list[str] = []

    def hear(message: dict[str, dict[str, str]]) -> None:
        if message["header"]["msg_type"] == "stream":
            printed.append(message["content"]["text"])

    reply = client.execute_interactive(source, timeout=60, output_hook=hear)
    if reply["content"]["status"] != "ok":
        raise CellFailed(f"{reply['content']['ename']}: {reply['content']['evalue']}\n{''.join(printed)}")
    return "".join(printed)


async def test_cells_enqueue_in_the_loop_that_runs_and_without_it(cell: Cell, real_link: Link) -> None:
    cell(_DEFINES)
    assert cell("print((await count.enqueue(1)).created)") == "True\n"
    assert cell("print((await count.enqueue(2)).created)") == "True\n"  # the next cell, the same loop
    assert cell("print(count.enqueue_sync(3).created)") == "True\n"  # blocking, while the kernel's loop runs
    said = cell("print(len(await queue.enqueue_many(count.task(n) for n in range(500))))")
    assert said == "500\n"
    figures = await real_link.run(Inspector("notebook").stats())
    assert (figures.enqueued, figures.unaccounted) == (503, 0)


async def test_a_loop_of_ones_own_in_a_thread_beside_the_kernels(cell: Cell) -> None:
    cell(_DEFINES)
    own = "import asyncio\nprint((await asyncio.to_thread(lambda: asyncio.run(count.enqueue(1)))).created)"
    assert cell(own) == "True\n"
    assert cell("print((await count.enqueue(2)).created)") == "True\n"
    with pytest.raises(CellFailed, match=r"asyncio.run\(\) cannot be called from a running event loop"):
        cell("coroutine = count.enqueue(3)\ntry:\n    asyncio.run(coroutine)\nfinally:\n    coroutine.close()")
    assert cell("print((await count.enqueue(4)).created)") == "True\n"  # and that broke nothing


async def test_a_cell_that_is_run_again_replaces_its_handler(cell: Cell) -> None:
    cell(_DEFINES)
    again = _DEFINES.split("\n\n", 1)[1].replace("n: int", "n: int, by: int = 1")
    cell(again)
    assert cell("print((await count.enqueue(1, by=2)).created)") == "True\n"


async def test_a_notebook_can_try_a_task_with_the_tester(cell: Cell) -> None:
    cell(_DEFINES)
    cell("from ferryman.testing import Tester")
    tried = (
        "with Tester() as tester:\n    await count.enqueue(1)\n    print((await tester.run_until_idle())[0].outcome)"
    )
    assert cell(tried) == "completed\n"
