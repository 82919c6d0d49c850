"""Arguments: a call's arguments as one JSON object, checked against the handler's annotations.

The check is the decoding itself, with the same types that the worker will decode with: what passes here can
be read there. Costs well under a microsecond for a handful of plain arguments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any, Final, cast

import msgspec

from ferryman.errors import InvalidTask, PayloadTooLarge
from ferryman.signature import InvalidHandler, Signature
from ferryman.task import MAX_ARGS_BYTES

#: Stands for an argument that was not given: the function's own default applies, as the worker's version has it.
_NOT_GIVEN: Final = object()

_PLACE: Final = re.compile(r"^(?P<message>.*) - at `\$\.(?P<parameter>\w+)(?P<rest>.*)`$", re.DOTALL)
_FIELD: Final = re.compile(r"^Object (?P<problem>missing required|contains unknown) field `(?P<parameter>.*)`$")

_UNENCODABLE: Final = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)


class Arguments:
    """Encodes, checks and decodes the arguments of one handler.

    The types are looked at when the first arguments come; any method may then raise InvalidHandler.
    """

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._optional = tuple(name for name, p in signature.parameters.items() if p.default is not p.empty)

    @cached_property
    def _type(self) -> type[msgspec.Struct]:
        return _argument_type(self._signature)

    @cached_property
    def _decode(self) -> Callable[[bytes], msgspec.Struct]:
        return msgspec.json.Decoder(self._type, dec_hook=decode_foreign).decode

    def encode(self, arguments: Mapping[str, object]) -> bytes:
        """Return `arguments` as a JSON object that this handler accepts.

        Raises InvalidTask naming the parameter, or PayloadTooLarge.
        """
        try:
            encoded = encode_json(arguments)
        except _UNENCODABLE as error:
            raise _unencodable(self._signature.task, arguments, error) from error
        if len(encoded) > MAX_ARGS_BYTES:
            raise PayloadTooLarge(len(encoded), MAX_ARGS_BYTES)
        try:
            self._decode(encoded)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise _explained(self._signature.task, error) from error
        return encoded

    def encode_without(self, arguments: Mapping[str, object], later: Collection[str]) -> bytes:
        """The same, without those parameters that get their values `later`, from the results of other tasks."""
        given = {name: value for name, value in arguments.items() if name not in later}
        for name, parameter in self._signature.parameters.items():
            if parameter.default is parameter.empty and name not in arguments:
                raise InvalidTask(name, f"task {self._signature.task!r} requires it, and it is missing")
        if strangers := [name for name in later if name not in self._signature.parameters]:
            raise InvalidTask(strangers[0], f"task {self._signature.task!r} has no such parameter")
        try:
            encoded = encode_json(given)
        except _UNENCODABLE as error:
            raise _unencodable(self._signature.task, given, error) from error
        if len(encoded) > MAX_ARGS_BYTES:
            raise PayloadTooLarge(len(encoded), MAX_ARGS_BYTES)
        self._decoded_without(encoded, later)
        return encoded

    def check(self, encoded: bytes) -> None:
        """Raise InvalidTask, naming the parameter, unless `encoded` is a JSON object this handler accepts."""
        if len(encoded) > MAX_ARGS_BYTES:
            raise PayloadTooLarge(len(encoded), MAX_ARGS_BYTES)
        self._decoded(encoded)

    def decode(self, encoded: bytes) -> dict[str, object]:
        """Return the keyword arguments to call the function with. Raises InvalidTask naming the parameter."""
        arguments = msgspec.structs.asdict(self._decoded(encoded))
        for name in self._optional:
            if arguments[name] is _NOT_GIVEN:
                del arguments[name]
        return arguments

    def decode_without(self, encoded: bytes, later: Collection[str]) -> dict[str, object]:
        """The keyword arguments, of which those may be missing that get their values `later`; as `decode`."""
        arguments = msgspec.structs.asdict(self._decoded_without(encoded, later))
        return {name: value for name, value in arguments.items() if value is not _NOT_GIVEN}

    def _decoded_without(self, encoded: bytes, later: Collection[str]) -> msgspec.Struct:
        kind = _argument_type(self._signature, set(later))
        try:
            return msgspec.json.decode(encoded, type=kind, dec_hook=decode_foreign)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise _explained(self._signature.task, error) from error

    def _decoded(self, encoded: bytes) -> msgspec.Struct:
        try:
            return self._decode(encoded)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise _explained(self._signature.task, error) from error

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the arguments object."""
        (root,), definitions = msgspec.json.schema_components([self._type], schema_hook=_foreign_schema)
        name = root["$ref"].removeprefix("#/$defs/")
        schema: dict[str, Any] = definitions.pop(name)
        for parameter in self._optional:
            try:
                default = msgspec.to_builtins(self._signature.parameters[parameter].default, enc_hook=_encode_foreign)
            except _UNENCODABLE:
                continue  # a sentinel, say: the parameter is optional, and that is all there is to tell
            schema["properties"][parameter]["default"] = default
        if definitions:
            schema["$defs"] = definitions
        return schema


def by_name(task: str, args: object) -> dict[str, object]:
    """Return `args` as a dict from parameter names to values; None = none. Raises InvalidTask when it is neither."""
    if args is None:
        return {}
    if isinstance(args, Mapping):
        arguments = dict(cast("Mapping[object, object]", args))
        if all(isinstance(name, str) for name in arguments):
            return cast("dict[str, object]", arguments)
    raise InvalidTask("args", f"task {task!r} takes a mapping from parameter names to values")


def encode_unchecked(task: str, arguments: dict[str, object]) -> bytes:
    """Return the arguments of a task whose handler lives elsewhere as a JSON object.

    Raises InvalidTask naming the argument that can't be encoded, or PayloadTooLarge.
    """
    try:
        encoded = encode_json(arguments)
    except _UNENCODABLE as error:
        raise _unencodable(task, arguments, error) from error
    if len(encoded) > MAX_ARGS_BYTES:
        raise PayloadTooLarge(len(encoded), MAX_ARGS_BYTES)
    return encoded


def _unencodable(task: str, arguments: Mapping[str, object], error: Exception) -> InvalidTask:
    """Find which argument could not be encoded: off the fast path, one by one."""
    for name, value in arguments.items():
        try:
            encode_json(value)
        except _UNENCODABLE as own_error:
            return InvalidTask(name, f"task {task!r} can't send it as JSON: {own_error}")
    return InvalidTask("args", f"task {task!r} can't send them as JSON: {error}")


def _explained(task: str, error: Exception) -> InvalidTask:
    """Say which parameter is wrong, in the words of whoever wrote the call."""
    text = str(error)
    if match := _FIELD.match(text):
        missing = match["problem"].startswith("missing")
        problem = "requires it, and it is missing" if missing else "has no such parameter"
        return InvalidTask(match["parameter"], f"task {task!r} {problem}")
    if match := _PLACE.match(text):
        where = f" (at {match['parameter']}{match['rest']})" if match["rest"] else ""
        return InvalidTask(match["parameter"], f"task {task!r}: {match['message']}{where}")
    return InvalidTask("args", f"task {task!r}: {text}")


def _argument_type(signature: Signature, later: Collection[str] = ()) -> type[msgspec.Struct]:
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for name, parameter in signature.parameters.items():
        kind = signature.types[name]
        _refuse_unsupported(signature.task, name, kind)
        if parameter.default is parameter.empty and name not in later:
            fields.append((name, kind))
        else:
            fields.append((name, kind, msgspec.field(default_factory=lambda: _NOT_GIVEN)))
    return msgspec.defstruct(
        signature.task, fields, kw_only=True, forbid_unknown_fields=True, gc=False, module=__name__
    )


def _refuse_unsupported(task: str, parameter: str, kind: Any) -> None:
    """A type that has no JSON Schema can't be decoded either, wherever in the annotation it hides."""
    try:
        msgspec.json.schema_components([kind], schema_hook=_foreign_schema)
    except TypeError as error:
        reason = str(error).splitlines()[-1]
        raise InvalidHandler(
            task,
            f"parameter {parameter!r} can't travel as JSON: {reason}; use plain types, dataclasses, "
            "TypedDicts, msgspec Structs or pydantic models",
        ) from error


# Types that msgspec does not know but that know JSON themselves, by pydantic's method names.


def _encode_foreign(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"a value of type {type(value).__qualname__} has no form in JSON")


def decode_foreign(kind: Any, value: object) -> Any:
    if hasattr(kind, "model_validate"):
        return kind.model_validate(value)
    raise TypeError(f"{kind!r} can't be decoded from JSON")


def _foreign_schema(kind: Any) -> dict[str, Any]:
    if not hasattr(kind, "model_json_schema"):
        raise TypeError(f"type {getattr(kind, '__qualname__', kind)!r} has no form in JSON")
    schema = cast("dict[str, Any]", kind.model_json_schema())
    # Its references are relative to its own root, and lead nowhere inside ours.
    return {"title": kind.__name__, "type": "object"} if "$defs" in schema else schema


#: Any value that has a form in JSON.
encode_json: Final = msgspec.json.Encoder(enc_hook=_encode_foreign).encode
