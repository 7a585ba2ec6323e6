from django.apps import AppConfig


class HttpConfig(AppConfig):
    name = "aforo.http"
    label = "http"
    verbose_name = "HTTP"
