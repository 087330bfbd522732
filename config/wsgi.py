"""The WSGI entry point: any WSGI server runs ``config.wsgi:application``."""

import os

from django.core.wsgi import get_wsgi_application

from config.operations import memory

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
memory.keep_no_large_blocks()

application = get_wsgi_application()
