"""manage.py demo_seed"""

from __future__ import annotations

import json
import os
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from aforo.console.demo import ADMIN, CUSTOMER, demo_month, demo_seed


class Command(BaseCommand):
    help = (
        "Make the demo's tenant, admin account, API key, customer and plan, once; later runs find them. "
        "A key in AFORO_API_KEY is kept if it is the tenant's, else a new one is made and shown. "
        "Example: manage.py demo_seed --json"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the answer as one JSON object")

    def handle(self, **options: Any) -> None:
        seed = demo_seed(api_key=os.environ.get("AFORO_API_KEY"))
        answer = {
            "tenant": seed.tenant.slug,
            "customer": CUSTOMER,
            "month": f"{demo_month(seed.tenant):%Y-%m}",
            "admin_user": ADMIN,
            "admin_password": seed.admin_password,
            "api_key": seed.api_key,
            "created": seed.is_created,
        }
        if options["json"]:
            self.stdout.write(json.dumps(answer))
        else:
            for name, value in answer.items():
                self.stdout.write(f"{name:<16}{'(kept)' if value is None else value}")
