from django.apps import AppConfig


class IncidentsConfig(AppConfig):
    name = "incidents"
    verbose_name = "Incidents"

    def ready(self) -> None:
        from config import housekeeping
        from config.operations import metrics
        from config.tenancy.services import idempotency, limits
        from incidents.services import aggregation, retention, rollup, telemetry, webhooks

        metrics.register(telemetry.collect)
        housekeeping.register("stale incidents resolved", aggregation.resolve_stale)
        housekeeping.register("changes folded into the sums", rollup.fold)
        housekeeping.register("webhooks delivered", webhooks.deliver)
        housekeeping.register("kept answers purged", idempotency.purge)
        housekeeping.register("webhook deliveries forgotten", webhooks.forget)
        housekeeping.register("request counts purged", limits.purge)
        housekeeping.register("alerts retired", retention.retire_alerts)
        housekeeping.register("incidents retired", retention.retire_incidents)
