"""What a tab is sent, and when it takes too little."""

import asyncio
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from versus_py.telemetry.metrics import Metrics
from versus_py.web.pages.ui import streams
from versus_py.web.pages.ui.streams import Message, Stream, Streams

ONE, TWO = Message(b"one"), Message(b"two")


class Transport:
    """One with so much that was not taken."""

    def __init__(self) -> None:
        self.held = 0
        self.written: list[bytes] = []
        self.is_aborted = False
        self.is_gone = False

    def is_closing(self) -> bool:
        return self.is_gone

    def get_write_buffer_size(self) -> int:
        return self.held

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def abort(self) -> None:
        self.is_aborted = True


@pytest.fixture
def transport() -> Transport:
    return Transport()


@pytest.fixture
async def stream(transport: Transport) -> Stream:
    found = Stream(ends_at_ms=1)
    found._transport = cast("Any", transport)
    return found


async def test_what_is_put_is_written_at_once(stream, transport):
    assert stream.put(ONE)
    assert transport.written == [b"one"]


async def test_in_an_answer_of_chunks_it_is_one(stream, transport):
    stream._is_chunked = True

    stream.put(Message(b"0123456789abcdef"))

    assert transport.written == [b"10\r\n0123456789abcdef\r\n"]


async def test_a_tab_that_takes_nothing_is_dropped(stream, transport):
    transport.held = streams.HELD_MAX_BYTES
    assert stream.put(ONE)
    transport.held += 1

    assert not stream.put(TWO)

    assert transport.is_aborted
    assert transport.written == [b"one"]
    assert stream._ended.is_set()


async def test_a_tab_that_is_gone_ends(stream, transport):
    transport.is_gone = True

    stream.put(ONE)

    assert stream._ended.is_set()
    assert transport.written == []


async def test_a_tab_that_is_gone_leaves_its_room_to_the_next_one(stream, transport):
    those = Streams(Metrics(), most=1)
    with those.opened(stream):
        with pytest.raises(web.HTTPServiceUnavailable), those.opened(Stream(ends_at_ms=1)):
            pass
        transport.is_gone = True

        with those.opened(Stream(ends_at_ms=1)):
            assert stream._ended.is_set()
            assert len([*those]) == 1


async def test_before_its_head_is_sent_messages_wait(transport):
    stream = Stream(ends_at_ms=1)
    stream.put(ONE)
    stream.put(TWO)

    assert stream._taken() == [ONE, TWO]
    assert stream._taken() == []


async def test_what_a_tab_has_missed_comes_first(transport):
    stream = Stream(ends_at_ms=1)
    stream.put(TWO)

    stream.begin_with([ONE])

    assert stream._taken() == [ONE, TWO]


async def test_of_a_tab_that_went_while_it_was_answered_nothing_is_kept():
    request = make_mocked_request("GET", "/stream")
    request.protocol.transport = None
    stream = Stream(ends_at_ms=1)

    await asyncio.wait_for(stream.send(request), 5)
