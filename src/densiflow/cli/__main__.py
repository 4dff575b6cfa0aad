"""``python -m densiflow.cli``."""

import sys

from densiflow.cli import main

sys.exit(main())
