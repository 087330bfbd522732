"""The screens of exports, registered with Django's admin."""

from exports.admin import bundles, keys

__all__ = ["bundles", "keys"]
