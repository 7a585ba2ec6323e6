from django.apps import AppConfig


class TenancyConfig(AppConfig):
    name = "aforo.tenancy"
    label = "tenancy"
    verbose_name = "Tenants"
