"""Claiming what is due as a worker does, whatever its place."""

from versus_py.store import Claim, Store


async def claim_due(store: Store, *, now_ms: int, lease_ms: int, limit: int) -> tuple[list[Claim], int | None]:
    """Up to *limit* claims, and when there is something to do again: not after *now_ms* when more is due."""
    found = await store.timers.look(now_ms=now_ms, lease_ms=lease_ms, limit=max(1, limit))
    claims = await store.timers.claim(found.due[:limit], now_ms=now_ms, lease_ms=lease_ms)
    left = await store.timers.look(now_ms=now_ms, lease_ms=lease_ms, limit=1)
    next_ms = now_ms if left.due else left.next_ms
    return [it for it in claims if it is not None], next_ms
