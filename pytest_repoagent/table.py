"""Tables for a terminal and for logs."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence


def lines(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table with a heading for each column; its lines are as long as they need to be and have no colours."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    table = Table(*(Column(name, no_wrap=True) for name in columns), box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, row))
    text = io.StringIO()
    Console(file=text, width=1000, color_system=None).print(table)
    return [line.rstrip() for line in text.getvalue().splitlines()]
