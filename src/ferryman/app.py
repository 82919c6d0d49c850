"""App: the user's module given as --app, and the queues that it defines."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from ferryman.errors import AppImportError
from ferryman.queue import Queue


def load_app(app: str) -> dict[str, Queue]:
    """Import `app` and return its queues by name.

    `app` is a dotted module ("acme.tasks") or a path to a file ("examples/quickstart/app.py"), and may end in
    ":attribute" to choose one queue. Several are separated by commas: all are imported, so that the handlers of one
    queue may lie in more than one module. The working directory is importable, as with `python -m`.

    Raises AppImportError when one can't be imported or holds no queue, or when two queues have one name.
    """
    queues: dict[str, Queue] = {}
    for part in app.split(","):
        for name, queue in _load_one(part.strip()).items():
            if queues.setdefault(name, queue) is not queue:
                raise AppImportError(f"--app {app}: two queues are named {name!r}; a name means one queue")
    return queues


def _load_one(app: str) -> dict[str, Queue]:
    target, attribute = _split(app)
    module = _import_file(Path(target)) if target.endswith(".py") else _import_module(target)
    if attribute:
        chosen = getattr(module, attribute, None)
        if not isinstance(chosen, Queue):
            raise AppImportError(f"--app {app}: {attribute!r} in {target} is no ferryman.Queue")
        return {chosen.name: chosen}
    queues: dict[str, Queue] = {}
    for value in list(vars(module).values()):
        if isinstance(value, Queue) and queues.setdefault(value.name, value) is not value:
            raise AppImportError(f"--app {app}: two queues are named {value.name!r}; a name means one queue")
    if not queues:
        raise AppImportError(f'--app {app}: {target} defines no queue; write: emails = Queue("emails")')
    return queues


def _split(app: str) -> tuple[str, str]:
    target, colon, attribute = app.rpartition(":")
    if colon and attribute.isidentifier():
        return target, attribute
    return app, ""


def _import_module(name: str) -> ModuleType:
    _make_importable(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise AppImportError(
                f"--app {name}: there is no module {error.name!r} in {Path.cwd()} or among the installed packages; "
                "give a dotted module or a path to a .py file"
            ) from error
        raise AppImportError(f"--app {name}: it imports {error.name!r}, which is not installed") from error
    except Exception as error:
        raise AppImportError(f"--app {name}: importing it raised {type(error).__name__}: {error}") from error


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise AppImportError(f"--app {path}: there is no such file in {Path.cwd()}")
    _make_importable(path.resolve().parent)
    name = path.stem
    loaded = sys.modules.get(name)
    if loaded is not None:
        if getattr(loaded, "__file__", None) == str(path.resolve()):
            return loaded
        raise AppImportError(f"--app {path}: a module named {name!r} is loaded already; rename the file")
    return _import_module(name)


def _make_importable(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
