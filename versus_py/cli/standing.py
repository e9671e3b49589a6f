"""How incidents stand, in words. They come as the API answers them."""

from datetime import UTC, datetime
from typing import Any

_COMMENTED = "commented"

COLUMNS = ("id", "status", "severity", "created", "escalates", "record", "title")
FAILURE_COLUMNS = ("id", "status", "target", "since", "error", "title")


def incident_row(it: Any) -> list[str]:
    """An incident in a list, by COLUMNS."""
    says_more = {"failed", "suppressed"} | ({"escalated"} if it["status"] == "triggered" else set())
    return [
        it["id"],
        it["outcome"] if it["outcome"] in says_more else _waiting(it),
        it["severity"],
        time_of(it["created_at"]),
        _due(it),
        it["record"] or "",
        subject_of(it),
    ]


def _due(it: Any) -> str:
    """When it escalates if nobody acknowledges; of what is held, when its hours begin."""
    due = it.get("held_until") if _is_ahead(it.get("held_until")) else it["escalates_at"]
    return time_of(due) if due else ""


def _waiting(it: Any) -> str:
    """Its status, or why its wait stands still."""
    if _is_snoozed(it):
        return "snoozed"
    return "held" if _is_ahead(it.get("held_until")) else str(it["status"])


def subject_of(it: Any) -> str:
    """What it is about; of older servers, its title."""
    return str(it.get("subject") or it["title"])


def failure_row(it: Any) -> list[str]:
    """An incident in the list of what was given up, by FAILURE_COLUMNS."""
    failed = it["failed"]
    return [it["id"], it["status"], failed["target"], time_of(failed["since"]), failed["error"], subject_of(it)]


def unread_row(it: Any) -> list[str]:
    """An incident that the server cannot read, by COLUMNS."""
    return [it["id"], "unreadable", "", "", "", "", it["error"]]


def unread_failure_row(it: Any) -> list[str]:
    """The same, by FAILURE_COLUMNS."""
    return [it["id"], "unreadable", it["failed"]["target"], time_of(it["failed"]["since"]), it["error"], ""]


def standing(it: Any) -> str:
    """The status, and the outcome where that says more."""
    return it["status"] if it["outcome"] in {None, it["status"]} else f"{it['status']}, {it['outcome']}"


def what_fires(it: Any) -> list[str]:
    """What it is about, a line each: since when, what its alerts say, and what tells each from the others."""
    shown = it.get("overview")
    if shown is None:  # of an older server
        return []
    lines = [f"since {time_of(shown['since'])}"] if shown["since"] else []
    lines += [" ".join(text.split()) for text in shown["texts"]]
    lines += [f"values: {shown['values']}"] if shown["values"] else []
    lines += [_alert_line(line) for line in shown["lines"]] if len(shown["lines"]) > 1 or shown["left_out"] else []
    lines += [f"… {shown['left_out']} more: --json"] if shown["left_out"] else []
    lines += [" ".join(f"{name}={value}" for name, value in shown["labels"].items())] if shown["labels"] else []
    lines += [f"{name}: {url}" for name, url in ({"Source": shown["url"]} | shown["links"]).items() if url]
    return ["".join(char if char.isprintable() else " " for char in line) for line in lines]


def _alert_line(line: Any) -> str:
    since = f"since {time_of(line['since'])}" if line["since"] else ""
    said = (line["lead"], *(" ".join(text.split()) for text in line["texts"][:1]), line["values"], since)
    return f"- {'; '.join(part for part in said if part)}"


def alert_count(it: Any) -> str:
    """How many alerts it has; while it is open, how many of them fire."""
    if "overview" in it:
        return str(it["overview"]["count"])
    return f"{it['firing']} of {len(it['alerts'])} firing"  # of an older server


def full_standing(it: Any) -> str:
    """How an incident stands, with everything, in a sentence."""
    said = "; ".join((f"{it['id']} is {it['status']}", *deeds(it)))
    said += "".join(f"; {text}" for text in to_come(it))
    if it["record"]:
        said += f"; record {it['record']}"
    if _never_escalates(it):
        said += "; never escalates"
    return said


def to_come(it: Any) -> list[str]:
    """What happens if nobody acknowledges."""
    if _is_ahead(it.get("held_until")):
        return [f"held until {time_of(it['held_until'])}"]
    coming = it.get("next")
    if coming and coming["due_at"] and it["policy"]["name"]:
        return [f"next: {', '.join(coming['targets'])} at {time_of(coming['due_at'])}, {_position(coming)}"]
    return [f"escalates {time_of(it['escalates_at'])}"] if it["escalates_at"] else []


def progress(it: Any) -> list[str]:
    """How far it has come in its policy, a line for each step; nothing where its policy has no name."""
    policy, at = it["policy"], it.get("step")
    if not policy.get("steps") or not policy["name"]:
        return []
    lines = [f"policy {policy['name']}" + (f": {_position(at)}" if at else "")]
    return lines + [f"  {number}  {_step_line(step)}" for number, step in enumerate(policy["steps"], start=1)]


def _step_line(step: Any) -> str:
    targets = ", ".join(f"{target} {state}" if state else target for target, state in step["states"].items())
    if step["began_at"]:
        return f"{targets}, {time_of(step['began_at'])}"
    return f"{targets}, due {time_of(step['due_at'])}" if step["due_at"] else targets


def _position(it: Any) -> str:
    further = f" of {it['rounds']}" if it["rounds"] > 1 else ""
    return f"step {it['step']} of {it['steps']}, round {it['round']}{further}"


def _never_escalates(it: Any) -> bool:
    at = it.get("step") or it.get("next")
    has_more = at is not None and at["steps"] * at["rounds"] > 1
    return it["policy"]["oncall"] is None and not has_more


def deeds(it: Any) -> list[str]:
    """Who did what to it, as far as it still counts."""
    done = [what for what in ("acknowledged", "resolved") if it[f"{what}_at"]]
    said = [f"{what} by {_who(it, f'{what}_by')} at {time_of(it[f'{what}_at'])}" for what in done]
    said += [f"acknowledged until {time_of(it['acknowledged_until'])}"] if it["acknowledged_until"] else []
    return said + (
        [f"snoozed by {_who(it, 'snoozed_by')} until {time_of(it['snoozed_until'])}"] if _is_snoozed(it) else []
    )


def story(it: Any) -> list[str]:
    """The timeline, with what people wrote in its records, which older servers do not tell."""
    entries = [(entry["at"], entry["event"], entry["detail"], entry["by"]) for entry in it["timeline"]]
    known = {(by, detail) for _, event, detail, by in entries if event == _COMMENTED}
    written = (said for said in it.get("comments", ()) if (said["by"], said["text"]) not in known)
    entries += [(said["at"], _COMMENTED, _quoted(said), said["by"]) for said in written]
    return [_line(*entry) for entry in sorted(entries, key=lambda entry: str(entry[0]))]


def _quoted(comment: Any) -> str:
    """On one line, with where it was written."""
    where = f"in {comment['record']}: " if comment["record"] else ""
    return where + " ".join(comment["text"].split())


def _line(at: str, event: str, detail: str | None, by: str | None) -> str:
    said = " ".join(part for part in (detail, by and f"by {by}") if part)
    return f"  {time_of(at)}  {event:<22} {said}".rstrip()


def _is_snoozed(it: Any) -> bool:
    """Whether it is left alone now; a snooze that is over stays in the incident until a channel is told."""
    return _is_ahead(it["snoozed_until"])


def _is_ahead(moment: str | None) -> bool:
    return moment is not None and datetime.fromisoformat(moment) > datetime.now(UTC)


def _who(it: Any, key: str) -> str:
    """A person's name, and e-mail address where that is known."""
    email = it.get(f"{key}_email")
    return f"{it[key]} ({email})" if email else str(it[key])


def time_of(moment: str) -> str:
    """A moment as the clock on the wall shows it, with its date and its time zone."""
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
