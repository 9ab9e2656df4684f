"""``python -m dumpgym`` is the same as ``dumpgym``."""

import sys

from dumpgym.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
