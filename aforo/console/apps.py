from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "aforo.console"
    label = "console"
    verbose_name = "Console"
