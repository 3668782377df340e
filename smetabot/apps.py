from django.apps import AppConfig


class SmetabotConfig(AppConfig):
    name = "smetabot"
