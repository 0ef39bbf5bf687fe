"""A space with a content of each status, and the ledger as the tests of refreshes look at it."""

from __future__ import annotations

from addon.jobs import ledger
from tests.jobs.conftest import Bench


def seed(bench: Bench, key: str = "DOCS") -> dict[str, str]:
    bench.site.add_space(key)
    return {
        "old": bench.page(key, "Old", months=30),
        "ageing": bench.page(key, "Ageing", months=15),
        "new": bench.page(key, "New", months=1),
    }


def rows(bench: Bench) -> dict[str, ledger.LedgerEntry]:
    with bench.db.read(bench.tenant_id) as session:
        return ledger.load(session, [content.id for content in bench.site.contents(status=None)])


def set_row(bench: Bench, row: ledger.LedgerEntry) -> None:
    with bench.db.write(bench.tenant_id) as session:
        ledger.save(session, bench.tenant_id, [row])
