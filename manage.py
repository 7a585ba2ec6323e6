#!/usr/bin/env python
"""Aforo's commands: `manage.py help` lists them."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aforo.settings")
    from django.core.management import execute_from_command_line

    from aforo.runtime.services import environment_of_command

    environment_of_command()
    execute_from_command_line(sys.argv)
