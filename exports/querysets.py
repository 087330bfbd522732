"""Ways to ask for bundles."""

from __future__ import annotations

from typing import Self

from config.tenancy.querysets import TenantScopedQuerySet


class BundleQuerySet(TenantScopedQuerySet):
    def without_files(self) -> Self:
        """Everything but the documents themselves, which can be many megabytes each."""
        return self.defer("document", "pdf")
