"""Ways to ask for bundles."""

from __future__ import annotations

from typing import Self

from django.db import models


class BundleQuerySet(models.QuerySet):
    def without_files(self) -> Self:
        """Everything but the documents themselves, which can be many megabytes each."""
        return self.defer("document", "pdf")
