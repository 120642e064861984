"""python -m dimsefast: the command line, or one of pynetdicom's programs."""

import sys

from . import apps

if sys.argv[1:] and sys.argv[1] in apps.PROGRAMS:
    sys.exit(apps.main(sys.argv[1], sys.argv[2:]))

from .cli import main

sys.exit(main())
