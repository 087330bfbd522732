"""What the database itself refuses of lessons and proposals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from config import clock
from config.tenancy.models import Tenant
from lessons.models import Lesson, LessonEvent, Proposal, ProposalEvent
from tests.factories import lessons as factory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("model", [LessonEvent, ProposalEvent])
@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.update(actor="Mallory"),
        lambda rows: rows.filter(via="nobody").update(via="x"),  # of no rows
        lambda rows: rows._raw_delete(rows.db),
    ],
)
def test_histories_are_kept_as_written(
    tenant: Tenant, model: Any, change: Callable[[Any], Any]
) -> None:
    factory.proposal(tenant)
    before = list(model.objects.values())
    assert before
    with pytest.raises(IntegrityError, match="kept as written"), transaction.atomic():
        change(model.objects.all())
    assert list(model.objects.values()) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "open"},
        {"lesson_type": "success"},
        {"severity": 5},
        {"status": "deferred"},
        {"deferred_until": clock.now()},
        {"status": "dismissed"},
        {"dismissed_reason": "x"},
        {"status": "converted_to_draft"},
    ],
)
def test_lesson_that_contradicts_itself(tenant: Tenant, changes: dict[str, Any]) -> None:
    lesson = factory.lesson(tenant)
    with pytest.raises(IntegrityError, match="lesson_"), transaction.atomic():
        Lesson.objects.filter(pk=lesson.pk).update(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "open"},
        {"kind": "policy"},
        {"status": "approved"},
        {"decided_at": clock.now()},
        {"rejected_reason": "x"},
        {"rule_id": clock.uuid7()},
        {"status": "rejected", "decided_at": clock.now(), "decided_by": "x"},
        {"status": "approved", "decided_at": clock.now(), "decided_by": "x"},
    ],
)
def test_proposal_that_contradicts_itself(tenant: Tenant, changes: dict[str, Any]) -> None:
    proposal = factory.proposal(tenant)
    with pytest.raises(IntegrityError, match="proposal_"), transaction.atomic():
        Proposal.objects.filter(pk=proposal.pk).update(**changes)
