"""What reviewers say of a bundle: rows beside it, never an edit of it."""

from __future__ import annotations

from config import clock
from config.actors import Actor
from config.errors import Invalid
from exports.enums import ReviewState
from exports.models import Bundle, BundleReview


def add(*, bundle: Bundle, state: str, notes: str, by: Actor) -> BundleReview:
    """Append a review by ``by``. Raises Invalid when there is no such state."""
    if state not in ReviewState.values:
        raise Invalid.field("/state", f"Must be one of {', '.join(ReviewState.values)}.")
    return BundleReview.objects.create(
        tenant_id=bundle.tenant_id,
        bundle=bundle,
        state=state,
        notes=notes,
        created_by=str(by),
        created_at=clock.now(),
    )
