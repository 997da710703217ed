#!/usr/bin/env bash
# Install Debian's Chromium, in which tests open the pages; without it they are skipped.
#
#   tools/install_browser.sh
#
# Does nothing where there is a Chromium, or without apt-get or root, and says so.
set -euo pipefail

if command -v chromium >/dev/null; then
    echo "browser: $(command -v chromium)"
elif [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    echo "browser: apt-get install chromium"
    apt-get update -qq </dev/null >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium \
        </dev/null >/dev/null
else
    echo "browser: no chromium here, so tests of the pages are skipped; sudo apt-get install chromium"
fi
