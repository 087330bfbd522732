"""Which bundles a list is about."""

from __future__ import annotations

from typing import ClassVar

import django_filters

from config.api import parameters
from exports.enums import BundleType
from exports.models import Bundle


class BundleListParameters(parameters.ListParameters):
    """What the list of exports can be narrowed by."""

    incident_id = parameters.Uuid(required=False)
    bundle_type = parameters.Choice(BundleType.choices, required=False)


class BundleFilter(django_filters.FilterSet):
    """What those parameters mean for a queryset of bundles."""

    incident_id = django_filters.UUIDFilter()
    bundle_type = django_filters.CharFilter()

    class Meta:
        model = Bundle
        fields: ClassVar[list[str]] = []


class DownloadParameters(parameters.Parameters):
    """Which of its files a bundle is downloaded as: one key, ``as``."""


# The contract's name for it is a word of Python's.
DownloadParameters._declared_fields["as"] = parameters.Choice(
    ["json", "pdf", "zip"], default="json", help_text="The form of the file."
)
