import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smetabot.settings")
django.setup()

from load.run import main  # noqa: E402

sys.exit(main())
