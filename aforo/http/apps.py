from django.apps import AppConfig


class HttpConfig(AppConfig):
    name = "aforo.http"
    label = "http"
    verbose_name = "HTTP"

    def ready(self) -> None:
        # Registers the description of the API key with drf-spectacular.
        from . import documentation  # noqa: F401
