"""Text on a page: the commands for a person who has seen enough and wants to look closer."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import text
from grafana_foundation_sdk.models.text import TextMode


def commands(title: str, description: str, groups: Sequence[tuple[str, Sequence[str]]], *, width: int) -> text.Panel:
    """Commands to copy, under a sentence each group; Grafana fills in the dashboard's variables."""
    blocks = [f"**{about}**\n\n```\n{chr(10).join(lines)}\n```" for about, lines in groups]
    return (
        text.Panel()
        .title(title)
        .description(description)
        .span(width)
        .height(13)
        .mode(TextMode.MARKDOWN)
        .content("\n\n".join(blocks))
    )
