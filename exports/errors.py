"""What can go wrong with a bundle, as errors of this app."""

from __future__ import annotations

from config.errors import Conflict, Invalid, NotFound, TooLarge


class BundleNotFound(NotFound):
    detail = "There is no bundle with this id."


class NotCanonical(Invalid):
    """A value that has no canonical form: a float, a lone surrogate, an integer beyond 2^53-1."""

    code = "not_canonical"


class BundleTooLarge(TooLarge):
    """The bundle would be larger than a bundle may be."""

    code = "bundle_too_large"


class SigningKeyUnavailable(Conflict):
    """The signing key is configured wrongly, retired, or not on this machine."""

    code = "signing_key_unavailable"
    detail = "There is no usable signing key."


class NotRendered(Conflict):
    """The PDF of a bundle could not be made."""

    code = "not_rendered"
