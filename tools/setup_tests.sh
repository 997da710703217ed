#!/usr/bin/env bash
# Debian's packages that some tests need: Chromium, in which they open the pages; Slurm and munge,
# of which they start two nodes; sclite (sctk), with which they compare error counts. Without them
# these tests are skipped. Starts nothing; does nothing where all of them are installed.
#
#   tools/setup_tests.sh
set -euo pipefail

packages=()
command -v chromium >/dev/null || packages+=(chromium)
command -v sctk >/dev/null || packages+=(sctk)
for program in slurmctld slurmd munged; do
    command -v "${program}" >/dev/null || { packages+=(slurm-wlm munge) && break; }
done
[ ${#packages[@]} -gt 0 ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "setup: some tests will be skipped; to run them: sudo apt-get install ${packages[*]}"
    exit 0
fi
echo "setup: apt-get install ${packages[*]}"
# Slurm's services are not for this machine: keep the packages from starting any.
policy=/usr/sbin/policy-rc.d
if [ ! -e "${policy}" ]; then
    printf '#!/bin/sh\nexit 101\n' >"${policy}"
    chmod +x "${policy}"
    trap 'rm -f "${policy}"' EXIT
fi
{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
    --no-install-recommends "${packages[@]}"; } </dev/null >/dev/null ||
    echo "setup: some tests will be skipped: these packages could not be installed"
