"""How the daemon is, for who looks after it: health as JSON, metrics in Prometheus' text format."""

from __future__ import annotations

import time

import msgspec

from chaos_runner.scheduler import ranking
from chaos_runner.scheduler.daemon import Daemon
from chaos_runner.store import Store, StoreError

FRESH_S = 10.0
SCHEDULES_MAX = 1000  # of which freshness is told one by one


def health(daemon: Daemon) -> tuple[int, str, bytes]:
    """200 while it beats and the store can be written; a bad file is told and harms nobody."""
    late_s = time.monotonic() - daemon.beaten_at
    well = late_s < FRESH_S and not daemon.lead.trouble
    words = {
        "ok": well,
        "leads": daemon.lead.leads,
        "holder": daemon.lead.holder if daemon.lead.leads else daemon.lead.other,
        "epoch": daemon.lead.epoch,
        "schedules": len(daemon.book.items),
        "next": daemon.next,
        "running": len(daemon.children),
        "store": daemon.lead.trouble,
        "files": daemon.problem,
        "last_beat_s": round(late_s, 1),
    }
    return (200 if well else 503), "application/json", msgspec.json.encode(words)


def metrics(daemon: Daemon, store: Store) -> tuple[int, str, bytes]:
    """One gauge or counter a line."""
    lines = [
        f"chaos_runner_scheduler_leads {int(daemon.lead.leads)}",
        f"chaos_runner_scheduler_epoch {daemon.lead.epoch}",
        f"chaos_runner_scheduler_schedules {len(daemon.book.items)}",
        f"chaos_runner_scheduler_running {len(daemon.children)}",
        f"chaos_runner_scheduler_files_ok {int(not daemon.problem)}",
        f"chaos_runner_scheduler_next_timestamp_seconds {daemon.next or 0:.0f}",
    ]
    try:
        lines += _stored(daemon, store)
    except StoreError:
        lines.append("chaos_runner_scheduler_store_ok 0")
    return 200, "text/plain; version=0.0.4", ("\n".join(lines) + "\n").encode()


def _stored(daemon: Daemon, store: Store) -> list[str]:
    now, fresh = time.time(), store.last_conclusive()
    counts = store.slot_counts()
    lines = ["chaos_runner_scheduler_store_ok 1", f"chaos_runner_scheduler_blocked {len(store.blocked())}"]
    lines += [f'chaos_runner_scheduler_decisions_total{{decision="{kind}"}} {n}' for kind, n in counts.items()]
    for item in daemon.book.items[:SCHEDULES_MAX]:
        days = ranking.days_since(fresh.get(item.label), now)
        told = "+Inf" if days is None else f"{days:.3f}"
        lines.append(f'chaos_runner_schedule_days_since_conclusive{{schedule="{item.label}"}} {told}')
    return lines
