"""Problem details (RFC 9457), which every error is answered with."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(
        description="Stable; what programs look at.",  # the document adds the types that there are
        examples=["urn:emotion-search:problem:not-found"],
    )
    title: str = Field(examples=["Not Found"])
    status: int = Field(ge=400, le=599, examples=[404])
    detail: str = Field(
        description="For people: the thing and the cure.", examples=["no clip 9999 in this archive"]
    )
    errors: list[dict[str, str]] | None = Field(
        default=None, description="With `invalid-request`: `where` and `message` of each fault."
    )
