"""Erasing a tenant: every row that belongs to it, of every app, in steps that can be repeated.

What belongs to it is asked of the models: all that have a ``tenant``. The audit log has none, so
that what it says outlives the tenant. Keys go first, so that nothing new is reported meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import CompositePrimaryKey, ForeignKey, Model

from config.actors import Actor
from config.database.statements import run
from config.operations import audit, disposal
from config.tenancy.models import ApiKey, Tenant

# Rows of one transaction.
STEP: Final = 2_000

Group = tuple[type[Model], ...]


def contents(tenant_id: str) -> dict[str, int]:
    """How many rows of each table belong to a tenant; the tables without any are left out."""
    counted = {}
    for model in owned():
        table = model._meta.db_table
        ((count,),) = run(
            f"SELECT count(*) FROM {table} WHERE tenant_id = %s",  # noqa: S608 - our own name
            [tenant_id],
        )
        if count:
            counted[table] = count
    return counted


def erase(*, tenant_id: str, by: Actor) -> Iterator[tuple[str, int]]:
    """Deletes a tenant and all that belongs to it; yields each table and how many rows went.

    Each step is a transaction of its own that the audit log holds. Whatever ends it early, doing
    it again goes on. Other tenants wait for nothing.
    """
    audit.record("erasure begun", by=by, tenant_id=tenant_id, target=f"tenant {tenant_id}")
    _forget_admin_log(tenant_id)
    for group in groups():
        if len(group) == 1:
            yield from _erase_in_steps(group[0], tenant_id, by)
        else:
            with transaction.atomic():
                yield from _erase_all(group, tenant_id, by)
    with transaction.atomic():
        # From here on nothing can refer to the tenant. What was under way has ended, so that a
        # second look finds what it left behind, and a third finds nothing.
        run("SELECT FROM tenancy_tenant WHERE id = %s FOR UPDATE", [tenant_id])
        for _ in range(2):
            for group in groups():
                yield from _erase_all(group, tenant_id, by)
        run("DELETE FROM tenancy_tenant WHERE id = %s", [tenant_id])
        audit.record("tenant erased", by=by, tenant_id=tenant_id, target=f"tenant {tenant_id}")


def owned() -> list[type[Model]]:
    """Every model whose rows belong to a tenant."""
    return [
        model
        for model in apps.get_models()
        if any(
            isinstance(field, ForeignKey) and field.name == "tenant" and _points_to(field) is Tenant
            for field in model._meta.concrete_fields
        )
    ]


def groups() -> list[Group]:
    """The models in an order to delete in: what points to something goes before it.

    Models that point to each other are a group, whose rows have to go in one transaction.
    """
    models = owned()
    reached = {model: _reach(model, models) for model in models}
    found: dict[frozenset[type[Model]], int] = {}
    for model in models:
        mutual = {other for other in reached[model] if model in reached[other]}
        found[frozenset({model, *mutual})] = len(reached[model])

    def place(group: frozenset[type[Model]]) -> tuple[bool, int, bool, list[str]]:
        labels = sorted(model._meta.label for model in group)
        # Of those at the end the sums come last, since deleting incidents changes them.
        constrained = any(_tenant_of(model).db_constraint for model in group)
        return ApiKey not in group, -found[group], not constrained, labels

    return [
        tuple(sorted(group, key=lambda model: model._meta.label))
        for group in sorted(found, key=place)
    ]


def _points_to(field: Any) -> type[Model]:
    return cast("type[Model]", field.remote_field.model)


def _tenant_of(model: type[Model]) -> Any:
    return model._meta.get_field("tenant")


def _reach(model: type[Model], models: list[type[Model]]) -> set[type[Model]]:
    seen: set[type[Model]] = set()
    ahead = [model]
    while ahead:
        for field in ahead.pop()._meta.concrete_fields:
            if isinstance(field, ForeignKey):
                target = _points_to(field)
                if target in models and target not in seen:
                    seen.add(target)
                    ahead.append(target)
    return seen


def _key(model: type[Model]) -> list[str]:
    pk: Any = model._meta.pk
    fields: list[Any] = list(pk.fields) if isinstance(pk, CompositePrimaryKey) else [pk]
    return [field.column for field in fields]


def _erase_in_steps(model: type[Model], tenant_id: str, by: Actor) -> Iterator[tuple[str, int]]:
    table = model._meta.db_table
    columns = ", ".join(_key(model))
    places = ", ".join(["%s"] * len(_key(model)))
    after: list[Any] = []
    while True:
        beyond = f" AND ({columns}) > ({places})" if after else ""
        chosen = f"tenant_id = %s{beyond}"
        with transaction.atomic():
            # By the primary key: a table without an index by tenant is read through once.
            rows = run(
                f"SELECT {columns} FROM {table} WHERE {chosen} "  # noqa: S608 - our own names
                f"ORDER BY {columns} LIMIT {STEP}",
                [tenant_id, *after],
                prepare=False,
            )
            if not rows:
                return
            with _logged(tenant_id, table, len(rows), by):
                run(
                    f"DELETE FROM {table} WHERE {chosen} "  # noqa: S608 - our own names
                    f"AND ({columns}) <= ({places})",
                    [tenant_id, *after, *rows[-1]],
                    prepare=False,
                )
        yield table, len(rows)
        after = list(rows[-1])


def _erase_all(group: Group, tenant_id: str, by: Actor) -> Iterator[tuple[str, int]]:
    for model in group:
        table = model._meta.db_table
        ((count,),) = run(
            f"SELECT count(*) FROM {table} WHERE tenant_id = %s",  # noqa: S608 - our own name
            [tenant_id],
        )
        if count:
            with _logged(tenant_id, table, count, by):
                run(f"DELETE FROM {table} WHERE tenant_id = %s", [tenant_id])  # noqa: S608
            yield table, count


def _logged(tenant_id: str, table: str, rows: int, by: Actor) -> Any:
    return disposal.logged("erasure", by=by, tenant_id=tenant_id, target=table, data={"rows": rows})


def _forget_admin_log(tenant_id: str) -> None:
    """The admin's own log names what people changed by its title."""
    log = LogEntry._meta.db_table
    models: list[type[Model]] = [*owned(), Tenant]
    for model in models:
        column = "id" if model is Tenant else "tenant_id"
        if len(_key(model)) > 1:
            continue  # Nothing with such a key has a screen.
        kind = ContentType.objects.get_for_model(model).pk
        run(
            f"DELETE FROM {log} WHERE content_type_id = %s AND object_id IN ("  # noqa: S608
            f"SELECT {_key(model)[0]}::text FROM {model._meta.db_table} WHERE {column} = %s)",
            [kind, tenant_id],
        )
