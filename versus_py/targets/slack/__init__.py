"""Slack: one message for each incident, its thread, and what people press.

`target` decides what becomes of a message and `thread` of its replies, `message` and `actions` say how they look,
`storm` has one message stand for many; `wire` and `history` write and read at Slack's pace, `api` calls its methods.
Presses come in by `requests` or `socket_mode`, are read by `press`, and `interactive` answers them.
"""
