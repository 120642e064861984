"""python -m dimsefast: the command line, or one of pynetdicom's programs."""

import sys

from . import __version__, apps

if sys.argv[1:] and sys.argv[1] in apps.PROGRAMS:
    sys.exit(apps.main(sys.argv[1], sys.argv[2:]))

if sys.argv[1:] == ["--version"]:
    # As `python -m pynetdicom` says it, for scripts.
    print(__version__)
    sys.exit()

from .cli import main

sys.exit(main())
