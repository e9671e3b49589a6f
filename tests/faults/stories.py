"""What may happen to an alert. Each plan is one alert's, or one group's; seeds decide which."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.faults.policies import Kind, name_of


class When(StrEnum):
    """The moment at which somebody acts."""

    EARLY = "early"
    AT_THE_END = "at the end of the wait"
    AFTER_THE_RECORD = "after the record"


class Deed(StrEnum):
    """What is done then."""

    NOTHING = "nothing"
    REPEAT = "repeat"
    ACKNOWLEDGE = "acknowledge"
    PRESS = "press"
    FOLLOW_THE_LINK = "follow the link"
    GIVE_BACK = "acknowledge, and give back"
    SNOOZE = "snooze"
    RESOLVE = "resolve"

    # Two independent Alertmanagers have a group of the same name and receiver.
    END_FOR_ONE = "another sender lists an equal alert; the first one's ends"
    END_IN_ONE_CLUSTER = "another sender lists that of its cluster; the first one's ends"
    END_FOR_BOTH = "another sender lists one; both end"

    # What joins an acknowledged group.
    REPLACE = "acknowledge; it ends, and another fires"
    JOIN_GRAVER = "acknowledge; a graver one joins"
    JOIN_NO_GRAVER = "acknowledge; one that is no graver joins"
    ACKNOWLEDGE_WHAT_JOINS = "acknowledge; it ends, another fires; acknowledge"

    # The same alert comes by another name of its group.
    MOVE = "move"
    MOVE_AND_RESOLVE = "move, and resolve"

    # Where acknowledgments end while the alert fires.
    ACKNOWLEDGE_AND_REPEAT = "acknowledge, repeat"
    ACKNOWLEDGE_AND_RESOLVE = "acknowledge, resolve before that ends"
    RENEW = "acknowledge, and again before that ends"
    TAKE_UP_AGAIN = "acknowledge, again after that has ended, resolve"


class Hindrance(StrEnum):
    """What keeps its record from being created in time, while that goes on."""

    NONE = "none"
    REFUSED = "refused"  # a rule of ServiceNow's refuses this record
    SLOW = "slow"  # it goes to an instance that is slow


REFUSED_NAME = "Refused"
"""The names of those alerts begin so."""

Story = tuple[When, Deed]

STORIES: tuple[Story, ...] = (
    (When.EARLY, Deed.NOTHING),
    (When.EARLY, Deed.REPEAT),
    (When.EARLY, Deed.ACKNOWLEDGE),
    (When.EARLY, Deed.PRESS),
    (When.EARLY, Deed.FOLLOW_THE_LINK),
    (When.EARLY, Deed.GIVE_BACK),
    (When.EARLY, Deed.SNOOZE),
    (When.EARLY, Deed.RESOLVE),
    (When.AT_THE_END, Deed.ACKNOWLEDGE),
    (When.AT_THE_END, Deed.RESOLVE),
    (When.AFTER_THE_RECORD, Deed.ACKNOWLEDGE),
    (When.AFTER_THE_RECORD, Deed.RESOLVE),
    (When.EARLY, Deed.END_FOR_ONE),
    (When.EARLY, Deed.END_IN_ONE_CLUSTER),
    (When.EARLY, Deed.END_FOR_BOTH),
    (When.AFTER_THE_RECORD, Deed.END_FOR_BOTH),
    (When.EARLY, Deed.REPLACE),
    (When.EARLY, Deed.JOIN_GRAVER),
    (When.EARLY, Deed.JOIN_NO_GRAVER),
    (When.EARLY, Deed.ACKNOWLEDGE_WHAT_JOINS),
    (When.AFTER_THE_RECORD, Deed.REPLACE),
    (When.EARLY, Deed.MOVE),
    (When.EARLY, Deed.MOVE_AND_RESOLVE),
    (When.AFTER_THE_RECORD, Deed.MOVE_AND_RESOLVE),
)
"""For a world in which acknowledgments last for ever."""

STORIES_OF_ACK_TIMEOUTS: tuple[Story, ...] = (
    (When.EARLY, Deed.ACKNOWLEDGE),
    (When.EARLY, Deed.PRESS),
    (When.EARLY, Deed.FOLLOW_THE_LINK),
    (When.EARLY, Deed.ACKNOWLEDGE_AND_REPEAT),
    (When.EARLY, Deed.ACKNOWLEDGE_AND_RESOLVE),
    (When.EARLY, Deed.RENEW),
    (When.EARLY, Deed.TAKE_UP_AGAIN),
    (When.AFTER_THE_RECORD, Deed.ACKNOWLEDGE),
)
"""For one in which they end."""


STORIES_BEFORE_A_LOSS: tuple[Story, ...] = (
    (When.EARLY, Deed.NOTHING),
    (When.EARLY, Deed.REPEAT),
    (When.EARLY, Deed.ACKNOWLEDGE),
    (When.EARLY, Deed.PRESS),
    (When.EARLY, Deed.GIVE_BACK),
    (When.EARLY, Deed.SNOOZE),
    (When.EARLY, Deed.RESOLVE),
    (When.AFTER_THE_RECORD, Deed.ACKNOWLEDGE),
    (When.AFTER_THE_RECORD, Deed.RESOLVE),
)
"""For one whose Redis is emptied after them: of one sender, and one alert."""


STORIES_OF_CHAINS: tuple[Story, ...] = (
    (When.EARLY, Deed.NOTHING),
    (When.EARLY, Deed.REPEAT),
    (When.EARLY, Deed.ACKNOWLEDGE),
    (When.EARLY, Deed.PRESS),
    (When.EARLY, Deed.GIVE_BACK),
    (When.EARLY, Deed.SNOOZE),
    (When.EARLY, Deed.RESOLVE),
    (When.AT_THE_END, Deed.ACKNOWLEDGE),
    (When.AT_THE_END, Deed.RESOLVE),
    (When.AFTER_THE_RECORD, Deed.ACKNOWLEDGE),
    (When.AFTER_THE_RECORD, Deed.RESOLVE),
)
"""For what goes through several steps, and twice."""

STORIES_OF_HOURS: tuple[Story, ...] = (
    (When.EARLY, Deed.NOTHING),
    (When.EARLY, Deed.REPEAT),
    (When.EARLY, Deed.ACKNOWLEDGE),
    (When.EARLY, Deed.RESOLVE),
    (When.AFTER_THE_RECORD, Deed.ACKNOWLEDGE),
    (When.AFTER_THE_RECORD, Deed.RESOLVE),
)
"""For what is held until its hours begin."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What will happen to one alert."""

    name: str
    when: When
    deed: Deed
    starts_after_s: float
    wait_s: float
    channel: str
    ack_lasts_s: float  # 0: for ever
    hindrance: Hindrance = Hindrance.NONE
    opens_ms: int = 0  # when the hours of its policy begin; 0: it has none


CHANNELS = tuple(f"C0FAULT{number:02}" for number in range(20))
"""Where alerts are posted to."""


def make_plans(
    number: int,
    *,
    seed: int,
    seconds: float,
    wait_s: float = 4.0,
    stories: Sequence[Story] = STORIES,
    ack_lasts_s: float = 0.0,
    hindrances: Sequence[Hindrance] = (),
    kind: Kind = Kind.MADE,
    opens_ms: int = 0,
) -> list[Plan]:
    """*number* alerts that begin over so many *seconds*, every story equally often.

    *ack_lasts_s* is what the replicas have as `oncall.ack_timeout_minutes`. The first third meet *hindrances* in turn.
    """
    dice = random.Random(seed)
    chosen = [stories[index % len(stories)] for index in range(number)]
    dice.shuffle(chosen)
    met = [hindrances[index % len(hindrances)] if hindrances else Hindrance.NONE for index in range(number // 3)]
    met += [Hindrance.NONE] * (number - len(met))
    return [
        Plan(
            name=f"{REFUSED_NAME if met[index] is Hindrance.REFUSED else name_of(kind, index)}{seed}x{index}",
            when=when,
            deed=deed,
            starts_after_s=seconds * index / number,
            wait_s=wait_s * dice.uniform(0.8, 1.2),
            channel=CHANNELS[index % len(CHANNELS)],
            ack_lasts_s=ack_lasts_s,
            hindrance=met[index],
            opens_ms=opens_ms,
        )
        for index, (when, deed) in enumerate(chosen)
    ]
