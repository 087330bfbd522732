from tests.config.api.conftest import api, call, tenant

__all__ = ["api", "call", "tenant"]
