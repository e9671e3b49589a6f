"""A business rule, and how badly what the rules post gets through."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from versus_py.simulators.servicenow.rule_bodies import Operation, Shape

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]


class BusinessRule(BaseModel):
    """What is posted where; *table* is whose records, *on* after which writes.

    *token* is sent as `Authorization: Bearer`, or else the property that *token_property* names. Without either there
    is no such header.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    url: str = Field(pattern="^https?://")
    table: str = "incident"
    token: str = Field("", repr=False, exclude=True)
    token_property: str = ""
    shape: Shape = "script"
    on: tuple[Operation, ...] = ("insert", "update")


class Passage(BaseModel):
    """How posts get through. Chances are drawn with *seed*, in the order of the writes.

    - delay_s: the least and the most that a post waits, by the simulator's clock
    - reordered: the share that does not wait for the posts of earlier writes; all others keep their order
    - lost: the share that is never sent
    - doubled: the share that is sent twice
    - coalesced: the share that has the record as it is when it is sent, as in the original; the rest has it as it was
      after its write
    - workers: how many are under way at a time
    - timeout_s: how long an answer is waited for
    - by_hand: nothing is sent but when it is said (`run_due`)
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 0
    delay_s: tuple[Seconds, Seconds] = (0.0, 0.0)
    reordered: Share = 0.0
    lost: Share = 0.0
    doubled: Share = 0.0
    coalesced: Share = 1.0
    workers: int = Field(1, ge=1)
    timeout_s: float = Field(10.0, gt=0)
    by_hand: bool = False

    @model_validator(mode="after")
    def _has_a_range(self) -> "Passage":
        least, most = self.delay_s
        if least > most:
            raise ValueError(f"delay_s: [{least:g}, {most:g}] is no range; allowed is [least, most]")
        return self
