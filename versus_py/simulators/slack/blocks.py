"""Finding one's way in Block Kit: what a message's blocks say, and what can be pressed in them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Block = dict[str, Any]
Element = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Placed:
    """An element that can be pressed, and where it is; *attachment_id* counts from 1, None outside of them."""

    element: Element
    block_id: str
    attachment_id: int | None


def all_blocks(blocks: Iterable[Block], attachments: Iterable[dict[str, Any]]) -> Iterator[Block]:
    yield from blocks
    for attachment in attachments:
        yield from attachment.get("blocks", [])


def elements_of(block: Block) -> list[Element]:
    """What can be pressed in it."""
    elements = block.get("elements", []) if block.get("type") == "actions" else [block.get("accessory")]
    return [element for element in elements if element and element.get("type") != "image"]


def placed(blocks: Sequence[Block], attachments: Sequence[dict[str, Any]]) -> Iterator[Placed]:
    """Everything that can be pressed in a message."""
    groups = [(None, blocks), *((number, it.get("blocks", [])) for number, it in enumerate(attachments, start=1))]
    for attachment_id, group in groups:
        for block in group:
            for element in elements_of(block):
                yield Placed(element, block["block_id"], attachment_id)


def options_of(element: Element) -> list[dict[str, Any]]:
    """What can be chosen in it, also out of groups."""
    groups = element.get("option_groups", [])
    return [*element.get("options", []), *(option for group in groups for option in group.get("options", []))]


def text_of(block: Block) -> str:
    """Everything a reader sees of it, markup and all; of a menu what it offers."""
    texts = [_text(block.get("text")), *(_text(it) for it in block.get("fields", []))]
    for element in [*block.get("elements", []), block.get("accessory") or {}]:
        is_text = element.get("type") in {"mrkdwn", "plain_text"}
        texts.append(_text(element if is_text else element.get("text") or element.get("placeholder")))
        texts += [_text(option.get("text")) for option in options_of(element)]
    return "\n".join(text for text in texts if text)


def with_ids(blocks: Iterable[Block]) -> list[Block]:
    """The blocks with the ids that Slack gives to those that come without."""
    return [_with_ids(block, f"b{index}") for index, block in enumerate(blocks)]


def _with_ids(block: Block, block_id: str) -> Block:
    named: Block = {"block_id": block_id} | block
    if named.get("type") == "actions":
        named["elements"] = [{"action_id": f"a{at}"} | element for at, element in enumerate(block["elements"])]
    elif "accessory" in named:
        named["accessory"] = {"action_id": "a0"} | block["accessory"]
    return named


def _text(value: Any) -> str:
    return str(value.get("text", "")) if isinstance(value, dict) else ""
