from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "aforo.audit"
    label = "audit"
    verbose_name = "Audit"
