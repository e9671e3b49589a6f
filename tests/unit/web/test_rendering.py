"""Templates of pages are compiled once, when the first is needed."""

import asyncio

from versus_py.web.pages import rendering
from versus_py.web.pages.rendering import compile_pages, pages


async def test_all_templates_are_ready_after_the_first_page_and_made_in_a_thread_once(monkeypatch):
    monkeypatch.setattr(rendering, "_compiled", {})
    in_thread, made = asyncio.to_thread, []

    async def noted(work):
        made.append(work)
        return await in_thread(work)

    monkeypatch.setattr(asyncio, "to_thread", noted)

    await compile_pages()
    await compile_pages()

    assert rendering._compiled.keys() == {*pages.list_templates(extensions=["html"])}
    assert len(made) == 1
