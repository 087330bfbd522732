"""Replaces the proposal half of the incident writes and of the lessons driver: draft rules.

A proposal comes from an incident or from a lesson; a person approves it, which makes the rule, or
rejects it with a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q

from config import clock
from config.actors import Actor
from config.operations import audit
from incidents.enums import RuleMode
from incidents.services import backtest as backtests
from incidents.services import rules
from incidents.services.backtest import Backtest
from lessons.enums import ProposalEventType, ProposalStatus
from lessons.errors import NothingToMatch
from lessons.models import Lesson, Proposal
from lessons.services import drafting, history, transitions
from lessons.services.drafting import Matcher
from lessons.services.transitions import Transition


def of_lesson(*, lesson: Lesson, by: Actor, at: datetime) -> Proposal:
    """The proposal that a lesson is converted to; joins the caller's transaction."""
    about = Q(lesson=lesson)
    if lesson.incident_id is not None:
        about |= Q(incident_id=lesson.incident_id)
    same = Proposal.objects.for_tenant(lesson.tenant_id).filter(about)
    standing = same.exclude(status=ProposalStatus.REJECTED).order_by("created_at", "id")
    proposal: Proposal | None = standing.first()
    if proposal is None:
        drafted = draft_of(lesson=lesson, at=at)
        if insert([drafted], f"Drafted from a lesson by {by}.", by=by, at=at):
            return drafted
        # Somebody drafted about the same incident in this moment.
        proposal = standing.get()
    history.of_proposals(
        [proposal],
        ProposalEventType.LINKED,
        f"A lesson was converted to it by {by}.",
        by=by,
        at=at,
        data={"lesson_id": str(lesson.pk)},
    )
    return proposal


def draft_of(*, lesson: Lesson, at: datetime) -> Proposal:
    """The draft, not saved yet, that a lesson (or the incident that it is of) calls for."""
    draft = drafting.of_lesson(lesson)
    return Proposal(
        tenant_id=lesson.tenant_id,
        kind=draft.kind,
        name=draft.name,
        rationale=draft.rationale,
        **asdict(draft.matcher),
        incident=lesson.incident,
        lesson=lesson,
        is_synthetic=lesson.is_synthetic,
        created_at=at,
    )


def insert(
    proposals: Sequence[Proposal], description: str, *, by: Actor, at: datetime
) -> list[Proposal]:
    """Saves drafts with their histories, but for those about what has a draft; which it saved."""
    Proposal.objects.bulk_create(proposals, ignore_conflicts=True)
    ids = [proposal.pk for proposal in proposals]
    saved = set(Proposal.objects.filter(pk__in=ids).values_list("pk", flat=True))
    inserted = [proposal for proposal in proposals if proposal.pk in saved]
    history.of_proposals(inserted, ProposalEventType.DRAFTED, description, by=by, at=at)
    return inserted


def approve(*, proposal: Proposal, by: Actor, mode: RuleMode = RuleMode.SHADOW) -> Proposal:
    """Makes the proposed rule, which knows where it came from.

    NothingToMatch when the rule would match nothing.
    """
    at = clock.now()
    with transaction.atomic():
        held = _held(transitions.APPROVE, proposal)
        matcher = matcher_of(held)
        if not matcher:
            raise NothingToMatch
        rule = rules.create(
            tenant=held.tenant,
            by=by,
            name=held.name,
            policy_type=held.kind,
            mode=mode,
            **asdict(matcher),
            source_proposal_id=held.pk,
            source_lesson_id=held.lesson_id,
            source_incident_id=held.incident_id,
        )
        audit.record(
            "proposal approved",
            by=by,
            tenant_id=held.tenant_id,
            target=f"proposal {held.pk}",
            data={"rule_id": str(rule.pk), "mode": str(mode)},
        )
        return _change(
            held,
            ProposalEventType.APPROVED,
            f"Approved by {by}, as a rule in {mode} mode.",
            by=by,
            at=at,
            data={"rule_id": str(rule.pk), "mode": str(mode)},
            status=transitions.APPROVE.target,
            decided_at=at,
            decided_by=str(by),
            rule_id=rule.pk,
        )


def reject(*, proposal: Proposal, by: Actor, reason: str) -> Proposal:
    """Ends a draft; the reason is kept."""
    at = clock.now()
    with transaction.atomic():
        held = _held(transitions.REJECT, proposal)
        audit.record(
            "proposal rejected",
            by=by,
            tenant_id=held.tenant_id,
            target=f"proposal {held.pk}",
            data={"reason": reason},
        )
        return _change(
            held,
            ProposalEventType.REJECTED,
            f"Rejected by {by}: {reason}",
            by=by,
            at=at,
            data={"reason": reason},
            status=transitions.REJECT.target,
            decided_at=at,
            decided_by=str(by),
            rejected_reason=reason,
        )


def amend(*, proposal: Proposal, by: Actor, name: str, matcher: Matcher) -> Proposal:
    """Changes what a draft would match, before it is decided about."""
    with transaction.atomic():
        held = _held(transitions.AMEND, proposal)
        before = {"name": held.name, **asdict(matcher_of(held))}
        after = {"name": name, **asdict(matcher)}
        if before == after:
            return held
        return _change(
            held,
            ProposalEventType.AMENDED,
            f"Amended by {by}.",
            by=by,
            at=clock.now(),
            data={"from": before, "to": after},
            **after,
        )


def backtest(*, proposal: Proposal, days: int = backtests.DEFAULT_DAYS) -> Backtest:
    """What the proposed rule would have prevented; NothingToMatch when it names nothing."""
    matcher = matcher_of(proposal)
    if not matcher:
        raise NothingToMatch
    return backtests.run(tenant=proposal.tenant, days=days, **asdict(matcher))


def matcher_of(proposal: Proposal) -> Matcher:
    """What a report would have to be equal in."""
    return Matcher(
        trigger_type=proposal.trigger_type,
        error_code=proposal.error_code,
        category=proposal.category,
        agent_id=proposal.agent_id,
    )


def _held(act: Transition, proposal: Proposal) -> Proposal:
    """The proposal as it is now, locked, in a state that allows the act."""
    held: Proposal = (
        Proposal.objects.select_for_update(no_key=True, of=("self",))
        .select_related("tenant")
        .get(tenant_id=proposal.tenant_id, pk=proposal.pk)
    )
    transitions.check_can(act, held)
    return held


def _change(
    proposal: Proposal,
    event_type: ProposalEventType,
    description: str,
    *,
    by: Actor,
    at: datetime,
    data: dict[str, Any] | None = None,
    **changes: Any,
) -> Proposal:
    for name, value in changes.items():
        setattr(proposal, name, value)
    proposal.save(update_fields=list(changes))
    history.of_proposals([proposal], event_type, description, by=by, at=at, data=data)
    return proposal
