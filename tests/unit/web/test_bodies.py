"""Bodies that do not arrive whole."""

import asyncio

import pytest
from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import make_mocked_request

from versus_py.web.intake.bodies import read_whole


async def test_a_sender_that_goes_away_in_the_middle_is_a_bad_request_and_no_error_of_ours():
    loop = asyncio.get_running_loop()
    body = StreamReader(BaseProtocol(loop), 2**16, loop=loop)
    body.feed_data(b"{")
    body.set_exception(ConnectionResetError("Connection lost"))

    with pytest.raises(web.HTTPBadRequest) as refused:
        await read_whole(make_mocked_request("POST", "/", payload=body), within_s=5)

    assert refused.value.text == "the connection ended before the body did"
