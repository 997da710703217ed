"""``python -m espnet_robust`` is ``espnet-robust``."""

from espnet_robust.bin.main import main

if __name__ == "__main__":
    main()
