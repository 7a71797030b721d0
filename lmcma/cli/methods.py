"""`lmcma methods`: what there is to choose from."""

from __future__ import annotations


def methods() -> None:
    """List the methods: when to take which, what each one fixes, what it costs."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from lmcma.registry import methods as table_of_methods

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("method", style="bold", max_width=14)
    for title in ("when", "settings", "cost"):
        table.add_column(title, overflow="fold")
    for method in table_of_methods().rows():
        table.add_row(method.name, method.summary, method.settings, method.cost)
    Console(highlight=False, markup=False).print(table)
