import os
import sys

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smetabot.settings")
    django.setup()

    from load.run import main

    sys.exit(main())
