"""Distil several students one after another, in the processes of one torchrun.

python -m train_several FILE    # lines of options of distill_train, as JSON
"""

import json
import os
import sys
from pathlib import Path

from espnet_robust.bin import distill_train

if __name__ == "__main__":
    # Each training has a process group of its own, whose store must not know that of the last one.
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"
    port = int(os.environ["MASTER_PORT"])
    for number, line in enumerate(Path(sys.argv[1]).read_text().splitlines(), 1):
        os.environ["MASTER_PORT"] = str(port + number)
        distill_train.main(json.loads(line))
