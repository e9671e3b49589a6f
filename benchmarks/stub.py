"""A ServiceNow and a Slack that answer at once, whatever they are asked: `python -m benchmarks.stub PORT`.

They remember nothing but when each record and each message came, and the first look-up and the first record word for
word, for a client to repeat them. `GET /control/seen` tells, and forgets; `/control/count` only counts.
"""

import asyncio
import itertools
import re
import sys
import time
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD_ENDS = b"\r\n\r\n"


@dataclass
class Seen:
    """What came since somebody asked."""

    records: list[tuple[str, float]] = field(default_factory=list)  # correlation_id, seconds since the epoch
    posts: int = 0
    edits: int = 0
    search: str = ""
    create: str = ""

    def as_json(self) -> bytes:
        return orjson.dumps(
            {
                "records": self.records,
                "posts": self.posts,
                "edits": self.edits,
                "search": self.search,
                "create": self.create,
            }
        )


class Stub:
    """All connections share it."""

    def __init__(self) -> None:
        self._seen = Seen()
        self._numbers = itertools.count(1)

    def answer(self, method: bytes, path: bytes, body: bytes) -> bytes:
        if path.startswith(b"/api/now/"):
            return self._table(method, path, body)
        if path.startswith(b"/api/"):
            return self._slack(path, body)
        if path == b"/control/count":
            return _whole(200, orjson.dumps({"records": len(self._seen.records), "posts": self._seen.posts}))
        seen, self._seen = self._seen, Seen()
        return _whole(200, seen.as_json())

    def _table(self, method: bytes, path: bytes, body: bytes) -> bytes:
        if method == b"GET":
            self._seen.search = self._seen.search or path.decode()
            return _whole(200, b'{"result":[]}')
        row: dict[str, Any] = orjson.loads(body)
        number = next(self._numbers)
        if method == b"POST":
            self._seen.create = self._seen.create or f"{path.decode()}\n{body.decode()}"
            self._seen.records.append((str(row.get("correlation_id", "")), time.time()))
        result = {**row, "sys_id": f"{number:032x}", "number": f"INC{number:07d}", "state": "1"}
        return _whole(201 if method == b"POST" else 200, orjson.dumps({"result": result}))

    def _slack(self, path: bytes, body: bytes) -> bytes:
        said: dict[str, Any] = orjson.loads(body) if body.startswith(b"{") else {}
        if path.endswith(b"chat.postMessage"):
            self._seen.posts += 1
        if path.endswith(b"chat.update"):
            self._seen.edits += 1
        ts = f"{time.time():.6f}"
        answer = {
            "ok": True,
            "channel": said.get("channel", ""),
            "ts": said.get("ts", ts),
            "messages": [],
            "message": {},
        }
        return _whole(200, orjson.dumps(answer))


class _Connection(asyncio.Protocol):
    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # which uvloop's is, but not by its class

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (head := self._buffer.find(_HEAD_ENDS)) >= 0:
            found = _LENGTH.search(self._buffer, 0, head)
            ends = head + len(_HEAD_ENDS) + (int(found[1]) if found else 0)
            if len(self._buffer) < ends:
                return
            method, path, _ = self._buffer.split(b" ", 2)
            body, self._buffer = self._buffer[head + len(_HEAD_ENDS) : ends], self._buffer[ends:]
            self._transport.write(self._stub.answer(method, path, body))


def _whole(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _serve(port: int) -> None:
    stub = Stub()
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(stub), "127.0.0.1", port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
