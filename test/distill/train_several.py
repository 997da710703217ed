"""Distil several students one after another, in the processes of one torchrun.

python -m train_several FILE    # lines of options of distill_train, as JSON
"""

import json
import sys
from pathlib import Path

from espnet_robust.bin import distill_train

if __name__ == "__main__":
    # Each training has a process group of its own, whose store must not know that of the last one.
    for number, line in enumerate(Path(sys.argv[1]).read_text().splitlines(), 1):
        store = f"file://{Path(sys.argv[1]).resolve()}.store{number}"
        distill_train.main(["--dist_init_method", store, *json.loads(line)])
