"""What Slack takes as a message: docs.slack.dev/reference/methods/chat.postMessage and …/block-kit."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from versus_py.simulators.slack.answers import Arguments, SlackError
from versus_py.simulators.slack.blocks import Block, Element, all_blocks, elements_of, options_of, text_of, with_ids

TEXT_POST_MAX = 40_000
TEXT_UPDATE_MAX = 4_000
BLOCKS_MAX = 50
BLOCK_CHARACTERS_MAX = 13_000
ATTACHMENTS_MAX = 100
METADATA_MAX = 16 * 1024

SECTION_MAX = 3_000
FIELDS_MAX = 10
FIELD_MAX = 2_000
HEADER_MAX = 150
CONTEXT_ELEMENTS_MAX = 10
ACTION_ELEMENTS_MAX = 25
LABEL_MAX = 75
VALUE_MAX = 2_000
URL_MAX = 3_000
ID_MAX = 255
ALT_MAX = 2_000
PLACEHOLDER_MAX = 150
OPTIONS_MAX = 100
OVERFLOW_OPTIONS_MAX = 5
OPTION_VALUE_MAX = 150
VIEW_TITLE_MAX = 24
VIEW_BLOCKS_MAX = 100
PRIVATE_METADATA_MAX = 3_000
INPUT_LABEL_MAX = 2_000
INPUT_LENGTH_MAX = 3_000
CONFIRM_MAX = {"title": 100, "text": 300, "confirm": 30, "deny": 30}

_PLAIN = frozenset({"plain_text"})
_ANY = frozenset({"plain_text", "mrkdwn"})


@dataclass(frozen=True, slots=True)
class Content:
    """What a message says."""

    text: str
    attachments: list[dict[str, Any]]
    blocks: list[Block]


def read_content(arguments: Arguments, *, text_max: int) -> Content:
    """What a message says, checked as Slack does, and with ids for the blocks that came without."""
    text = str(arguments.get("text") or "")
    attachments = _objects(arguments, "attachments", "invalid_attachments")
    blocks = _objects(arguments, "blocks", "invalid_blocks_format")
    if not text and not attachments and not blocks:
        raise SlackError("no_text")
    if len(text) > text_max:
        raise SlackError("msg_too_long")
    if len(attachments) > ATTACHMENTS_MAX:
        raise SlackError("too_many_attachments")
    groups = [blocks, *(_objects(it, "blocks", "invalid_attachments") for it in attachments)]
    every = list(all_blocks(blocks, attachments))
    if len(every) > BLOCKS_MAX or not all(_is_valid(block) for block in every):
        raise SlackError("invalid_blocks")
    if not all(_is_unique(block.get("block_id") for block in group) for group in groups):
        raise SlackError("invalid_blocks")
    if sum(len(text_of(block)) for block in every) > BLOCK_CHARACTERS_MAX:
        raise SlackError("msg_blocks_too_long")
    named = [it | {"blocks": with_ids(it["blocks"])} if "blocks" in it else it for it in attachments]
    return Content(text, named, with_ids(blocks))


def read_metadata(arguments: Arguments) -> dict[str, Any] | None:
    """What the message carries for programs; None without, and for an empty object."""
    metadata = arguments.get("metadata")
    if metadata is None or metadata == {}:
        return None
    if not isinstance(metadata, dict) or not metadata.get("event_type"):
        raise SlackError("invalid_metadata_format")
    if not isinstance(metadata["event_type"], str) or not isinstance(metadata.get("event_payload"), dict):
        raise SlackError("invalid_metadata_format")
    if len(json.dumps(metadata).encode()) > METADATA_MAX:
        raise SlackError("metadata_too_large")
    return metadata


def read_view(view: Any) -> dict[str, Any]:
    """A modal, checked as Slack does, and with ids for the blocks that came without."""
    if not isinstance(view, dict) or view.get("type") != "modal" or not _are_view_texts(view):
        raise SlackError("invalid_arguments", response_metadata={"messages": ["type, or a text of the view, is wrong"]})
    blocks = view.get("blocks")
    if not _are_all(blocks, VIEW_BLOCKS_MAX, lambda it: it.get("type") == "input" or _is_valid(it)):
        raise SlackError("invalid_arguments", response_metadata={"messages": ["invalid blocks"]})
    inputs = [it for it in blocks or [] if it["type"] == "input"]
    if not all(_is_input(it) for it in inputs) or (inputs and "submit" not in view):
        raise SlackError("invalid_arguments", response_metadata={"messages": ["wrong inputs, or no submit"]})
    return {**view, "blocks": with_ids(blocks or [])}


def _are_view_texts(view: dict[str, Any]) -> bool:
    shown = [view.get("title"), *(view[name] for name in ("submit", "close") if name in view)]
    is_short = _is_short(view, "callback_id", ID_MAX) and _is_short(view, "private_metadata", PRIVATE_METADATA_MAX)
    return is_short and all(_is_text(it, VIEW_TITLE_MAX, _PLAIN) for it in shown)


def _is_input(block: Block) -> bool:
    element, hint = block.get("element"), block.get("hint")
    if not _is_element(element, _INPUTS):
        return False
    shown = [block.get("label"), *([] if hint is None else [hint])]
    return all(_is_text(it, INPUT_LABEL_MAX, _PLAIN) for it in shown)


def _is_text_input(element: Element) -> bool:
    return bool(0 < element.get("max_length", INPUT_LENGTH_MAX) <= INPUT_LENGTH_MAX)


def _is_conversations_select(element: Element) -> bool:
    found = element.get("filter")
    kinds = {"im", "mpim", "private", "public"}
    return found is None or (isinstance(found, dict) and bool(found) and set(found.get("include", kinds)) <= kinds)


def _objects(arguments: Arguments, name: str, otherwise: str) -> list[dict[str, Any]]:
    found = arguments.get(name) or []
    if not isinstance(found, list) or not all(isinstance(it, dict) for it in found):
        raise SlackError(otherwise)
    return found


def _is_valid(block: Block) -> bool:
    check = _BLOCKS.get(str(block.get("type")))
    if check is None or not _is_short(block, "block_id", ID_MAX) or not check(block):
        return False
    return _is_unique(element.get("action_id") for element in elements_of(block))


def _is_section(block: Block) -> bool:
    fields, accessory = block.get("fields"), block.get("accessory")
    has_text = "text" in block or bool(fields)
    is_text = "text" not in block or _is_text(block["text"], SECTION_MAX)
    are_fields = fields is None or _are_all(fields, FIELDS_MAX, lambda it: _is_text(it, FIELD_MAX))
    return has_text and is_text and are_fields and (accessory is None or _is_element(accessory, _ACCESSORIES))


def _is_context(block: Block) -> bool:
    def is_shown(element: Element) -> bool:
        return _is_image(element) if element.get("type") == "image" else _is_text(element, SECTION_MAX)

    return _are_all(block.get("elements"), CONTEXT_ELEMENTS_MAX, is_shown)


def _is_actions(block: Block) -> bool:
    return _are_all(block.get("elements"), ACTION_ELEMENTS_MAX, lambda it: _is_element(it, _ELEMENTS))


def _is_element(element: Any, known: dict[str, Callable[[Element], bool]]) -> bool:
    if not isinstance(element, dict):
        return False
    check = known.get(str(element.get("type")))
    has_id = _is_short(element, "action_id", ID_MAX)
    return check is not None and has_id and _is_confirm(element.get("confirm")) and check(element)


def _is_button(element: Element) -> bool:
    has_style = str(element.get("style", "primary")) in {"primary", "danger"}
    is_short = _is_short(element, "url", URL_MAX) and _is_short(element, "value", VALUE_MAX)
    return has_style and is_short and _is_text(element.get("text"), LABEL_MAX, _PLAIN)


def _is_select(element: Element) -> bool:
    placeholder, groups = element.get("placeholder"), element.get("option_groups")
    if placeholder is not None and not _is_text(placeholder, PLACEHOLDER_MAX, _PLAIN):
        return False
    if (groups is None) == (element.get("options") is None):
        return False
    lists = [element["options"]] if groups is None else [group.get("options") for group in groups]
    initial = element.get("initial_option")
    are_options = 0 < len(lists) <= OPTIONS_MAX and all(_are_all(it, OPTIONS_MAX, _is_option) for it in lists)
    return are_options and (initial is None or initial in options_of(element))


def _is_overflow(element: Element) -> bool:
    return _are_all(element.get("options"), OVERFLOW_OPTIONS_MAX, _is_option)


def _is_option(option: Element) -> bool:
    has_value = bool(option.get("value")) and _is_short(option, "value", OPTION_VALUE_MAX)
    return has_value and _is_text(option.get("text"), LABEL_MAX, _PLAIN)


def _is_confirm(confirm: Any) -> bool:
    """Whether it asks properly before something is done; None asks nothing."""
    if confirm is None:
        return True
    return isinstance(confirm, dict) and all(
        _is_text(confirm.get(name), limit) for name, limit in CONFIRM_MAX.items() if name in confirm or name == "text"
    )


def _is_image(element: Element) -> bool:
    return bool(element.get("image_url")) and bool(element.get("alt_text")) and _is_short(element, "alt_text", ALT_MAX)


def _is_text(value: Any, limit: int, kinds: frozenset[str] = _ANY) -> bool:
    if not isinstance(value, dict) or value.get("type") not in kinds:
        return False
    return isinstance(text := value.get("text"), str) and 0 < len(text) <= limit


def _is_short(element: Element, name: str, limit: int) -> bool:
    return isinstance(value := element.get(name, ""), str) and len(value) <= limit


def _are_all(values: Any, limit: int, check: Callable[[Element], bool]) -> bool:
    """Whether *values* are one to *limit* objects that pass *check*."""
    if not isinstance(values, list) or not 0 < len(values) <= limit:
        return False
    return all(isinstance(value, dict) and check(value) for value in values)


def _is_unique(ids: Iterable[Any]) -> bool:
    given = [it for it in ids if it is not None]
    return len(given) == len(set(given))


_BLOCKS: dict[str, Callable[[Block], bool]] = {
    "actions": _is_actions,
    "context": _is_context,
    "divider": lambda _: True,
    "header": lambda block: _is_text(block.get("text"), HEADER_MAX, _PLAIN),
    "image": _is_image,
    "section": _is_section,
}
_ELEMENTS: dict[str, Callable[[Element], bool]] = {
    "button": _is_button,
    "overflow": _is_overflow,
    "static_select": _is_select,
}
_INPUTS: dict[str, Callable[[Element], bool]] = {
    "conversations_select": _is_conversations_select,
    "plain_text_input": _is_text_input,
    "static_select": _is_select,
}
_ACCESSORIES = _ELEMENTS | {"image": _is_image}
