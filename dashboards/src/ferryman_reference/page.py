"""docs/operator.md, with the tables between its marks written anew."""

from pathlib import Path

from ferryman_reference.fields import PARTS, Field, fields

PAGE = Path(__file__).parents[3] / "docs" / "operator.md"


def written(text: str) -> str:
    """`text` with the tables of each kind's spec and status. Raises ValueError when a mark is missing."""
    for part in PARTS:
        begin, end = f"<!-- {part}: written by `make docs` -->\n", f"<!-- end of {part} -->\n"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"the page must have the lines {begin.strip()} and {end.strip()} once")
        before, rest = text.split(begin)
        _, after = rest.split(end)
        text = f"{before}{begin}\n{_table(fields(part), with_defaults=part.endswith('spec'))}\n{end}{after}"
    return text


def _table(found: list[Field], *, with_defaults: bool) -> str:
    head = "| field | type | default | what it says |\n|---|---|---|---|\n"
    if not with_defaults:
        head = "| field | type | what it says |\n|---|---|---|\n"
    return head + "".join(_row(field, with_defaults=with_defaults) for field in found)


def _row(field: Field, *, with_defaults: bool) -> str:
    default = f"`{field.default}`" if field.default else "required" if field.required else ""
    cells = [f"`{field.path}`", field.type, *([default] if with_defaults else []), field.description]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
